use std::fmt;

use bson::{Bson, Document};

/// The end of the year 9999 in milliseconds.
const LAST_TEXT: i64 = 253_402_300_799_999;

/// Displays a value in the extended JSON of MongoDB, with spaces, as in `{ "at": { "$date": "2026-01-01T00:00:00Z" } }`.
pub struct Extended<'a>(pub &'a Bson);

/// Displays a document as [`Extended`] displays a value.
pub struct ExtendedDocument<'a>(pub &'a Document);

impl fmt::Display for Extended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Bson::Document(document) => ExtendedDocument(document).fmt(f),
            Bson::Array(values) => {
                f.write_str("[")?;
                for (at, value) in values.iter().enumerate() {
                    write!(f, "{}{}", if at > 0 { ", " } else { "" }, Self(value))?;
                }
                f.write_str("]")
            }
            // Relaxed extended JSON has text for the years 1970 to 9999; `bson` would clamp later ones.
            Bson::DateTime(at) => match at.try_to_rfc3339_string() {
                Ok(text) if (0..=LAST_TEXT).contains(&at.timestamp_millis()) => {
                    write!(f, "{{ \"$date\": \"{text}\" }}")
                }
                _ => write!(f, "{{ \"$date\": {{ \"$numberLong\": \"{}\" }} }}", at.timestamp_millis()),
            },
            Bson::ObjectId(id) => write!(f, "{{ \"$oid\": \"{id}\" }}"),
            Bson::Timestamp(at) => {
                write!(f, "{{ \"$timestamp\": {{ \"t\": {}, \"i\": {} }} }}", at.time, at.increment)
            }
            Bson::String(text) => write!(f, "{text:?}"),
            other => other.fmt(f),
        }
    }
}

impl fmt::Display for ExtendedDocument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, (name, value)) in self.0.iter().enumerate() {
            write!(f, "{} {name:?}: {}", if at > 0 { "," } else { "" }, Extended(value))?;
        }
        f.write_str(if self.0.is_empty() { "}" } else { " }" })
    }
}

#[cfg(test)]
mod tests {
    use bson::{DateTime, doc, oid::ObjectId};

    use super::*;

    #[test]
    fn values_are_written_as_extended_json() {
        let id = ObjectId::parse_str("64b000000000000000000001").unwrap();
        let document =
            doc! { "a": [DateTime::from_millis(1_767_225_600_000), id], "b": {}, "c": "x\"y", "d": 1_i64 };
        let expected = r#"{ "a": [{ "$date": "2026-01-01T00:00:00Z" }, { "$oid": "64b000000000000000000001" }], "b": {}, "c": "x\"y", "d": 1 }"#;
        assert_eq!(ExtendedDocument(&document).to_string(), expected);
        let at = DateTime::from_millis(0);
        let step = crate::Step::add_field("add", "things", "at", crate::Value::Is(at.into()));
        assert!(
            step.to_string().contains(r#"set at to { "$date": "1970-01-01T00:00:00Z" } where {"#),
            "{step}"
        );
        let far = Bson::DateTime(DateTime::MAX);
        assert_eq!(Extended(&far).to_string(), r#"{ "$date": { "$numberLong": "9223372036854775807" } }"#);
    }
}
