use std::str::FromStr;

use bson::{Bson, RawBsonRef, RawDocument};
use chrono::{DateTime, Utc};
use docstore::Filter;

use super::BadField;
use crate::domain::{Id, Visibility, is_script_url, is_web_url};

/// Some fields of a document, borrowed from its bytes.
pub trait Row<'a>: Sized {
    /// Reads them.
    ///
    /// # Errors
    /// If the bytes are no document.
    fn read(document: &'a RawDocument) -> Result<Self, bson::error::Error>;
}

/// Makes a row: its fields, and what they are called in documents. Each may be missing, and null counts as missing; all else
/// is judged later.
macro_rules! row {
    ($(#[$doc:meta])* $vis:vis struct $name:ident { $($field:ident = $key:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug)]
        $vis struct $name<'a> { $($field: Option<bson::RawBsonRef<'a>>,)+ }

        impl<'a> $crate::repository::row::Row<'a> for $name<'a> {
            fn read(document: &'a bson::RawDocument) -> Result<Self, bson::error::Error> {
                let mut row = Self { $($field: None,)+ };
                for element in document.iter_elements() {
                    let element = element?;
                    let field = match element.key().as_str() {
                        $($key => &mut row.$field,)+
                        _ => continue,
                    };
                    *field = Some(element.value()?).filter(|value| *value != bson::RawBsonRef::Null);
                }
                Ok(row)
            }
        }
    };
}
pub(super) use row;

/// What every collection of content has: both marks of deletion, since either may be the one that is there.
pub(super) fn not_deleted() -> Filter {
    Filter::and([Filter::ne("deleted", true), Filter::ne("is_deleted", true)])
}

/// What is in the trash: the opposite of [`not_deleted`], said so that each mark has an index.
pub(super) fn is_deleted() -> Filter {
    Filter::or([Filter::eq("deleted", true), Filter::eq("is_deleted", true)])
}

/// What may be seen. A document without the mark is not published.
pub(super) fn visible(visibility: Visibility) -> Filter {
    let published = Filter::eq("is_published", true);
    match visibility {
        Visibility::Published => published,
        Visibility::PublishedOrOwned(owner) => Filter::or([published, refers("user_id", owner)]),
        Visibility::All => Filter::All,
    }
}

/// References are texts, or object ids in databases of one age.
pub(super) fn refers(field: &'static str, id: Id) -> Filter {
    Filter::is_in(field, [Bson::String(id.to_string()), Bson::ObjectId(id.object_id())])
}

/// A text that has to be there.
pub(super) fn text(value: Option<RawBsonRef<'_>>, field: &'static str) -> Result<String, BadField> {
    borrowed(value, field).map(str::to_owned)
}

fn borrowed<'a>(value: Option<RawBsonRef<'a>>, field: &'static str) -> Result<&'a str, BadField> {
    value.and_then(RawBsonRef::as_str).ok_or(BadField(field))
}

/// The document's own id.
pub(super) fn own_id(value: Option<RawBsonRef<'_>>) -> Result<Id, BadField> {
    value.and_then(RawBsonRef::as_object_id).map(Id::from).ok_or(BadField("_id"))
}

/// A reference to another document, as text.
pub(super) fn reference(
    value: Option<RawBsonRef<'_>>,
    field: &'static str,
) -> Result<Option<String>, BadField> {
    match value {
        None | Some(RawBsonRef::Null) => Ok(None),
        Some(RawBsonRef::String(text)) => Ok(Some(text.to_owned())),
        Some(RawBsonRef::ObjectId(id)) => Ok(Some(id.to_hex())),
        Some(_) => Err(BadField(field)),
    }
}

/// One of the words of an enum that has to be there.
pub(super) fn word<T: FromStr>(value: Option<RawBsonRef<'_>>, field: &'static str) -> Result<T, BadField> {
    borrowed(value, field)?.parse().map_err(|_| BadField(field))
}

/// One of the words of an enum, or its default.
pub(super) fn word_or<T: FromStr>(
    value: Option<RawBsonRef<'_>>,
    field: &'static str,
    default: T,
) -> Result<T, BadField> {
    match value {
        None => Ok(default),
        value => word(value, field),
    }
}

/// A whole number of any width, or its default.
pub(super) fn whole_or(
    value: Option<RawBsonRef<'_>>,
    field: &'static str,
    default: i64,
) -> Result<i64, BadField> {
    match value {
        None => Ok(default),
        Some(RawBsonRef::Int32(n)) => Ok(i64::from(n)),
        Some(RawBsonRef::Int64(n)) => Ok(n),
        // Beyond 2^53 a double is no longer certain to be the number that was meant.
        Some(RawBsonRef::Double(n)) if n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0 =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "whole, and within range")]
            Ok(n as i64)
        }
        Some(_) => Err(BadField(field)),
    }
}

/// A truth value, or its default.
pub(super) fn truth_or(
    value: Option<RawBsonRef<'_>>,
    field: &'static str,
    default: bool,
) -> Result<bool, BadField> {
    match value {
        None => Ok(default),
        Some(value) => value.as_bool().ok_or(BadField(field)),
    }
}

/// A text, or its default.
pub(super) fn text_or(
    value: Option<RawBsonRef<'_>>,
    field: &'static str,
    default: &str,
) -> Result<String, BadField> {
    match value {
        None => Ok(default.to_owned()),
        value => text(value, field),
    }
}

/// A list of texts, empty if it is not there.
pub(super) fn texts(value: Option<RawBsonRef<'_>>, field: &'static str) -> Result<Vec<String>, BadField> {
    match value {
        None | Some(RawBsonRef::Null) => Ok(Vec::new()),
        Some(RawBsonRef::Array(elements)) => {
            elements.into_iter().map(|element| text(element.ok(), field)).collect()
        }
        Some(_) => Err(BadField(field)),
    }
}

/// A web address, if it is there. One of another scheme could run a script where it is clicked on.
pub(super) fn web_address(
    value: Option<RawBsonRef<'_>>,
    field: &'static str,
) -> Result<Option<String>, BadField> {
    match value {
        None | Some(RawBsonRef::Null | RawBsonRef::String("")) => Ok(None),
        Some(RawBsonRef::String(address)) if is_web_url(address) => Ok(Some(address.to_owned())),
        Some(_) => Err(BadField(field)),
    }
}

/// Where a link leads, which has to be there. Old databases hold any text; what a browser would run is not shown.
pub(super) fn link(value: Option<RawBsonRef<'_>>, field: &'static str) -> Result<String, BadField> {
    text(value, field)
        .and_then(|address| if is_script_url(&address) { Err(BadField(field)) } else { Ok(address) })
}

/// A date, if it is there.
pub(super) fn date_or_none(
    value: Option<RawBsonRef<'_>>,
    field: &'static str,
) -> Result<Option<DateTime<Utc>>, BadField> {
    match value {
        None | Some(RawBsonRef::Null) => Ok(None),
        value => date(value, field).map(Some),
    }
}

/// A date that has to be there.
pub(super) fn date(value: Option<RawBsonRef<'_>>, field: &'static str) -> Result<DateTime<Utc>, BadField> {
    value
        .and_then(RawBsonRef::as_datetime)
        .and_then(|date| DateTime::from_timestamp_millis(date.timestamp_millis()))
        .ok_or(BadField(field))
}

#[cfg(test)]
mod tests {
    use bson::oid::ObjectId;

    use super::*;

    #[test]
    fn references_are_read_as_text_or_object_id() {
        let id = ObjectId::parse_str("65a0b1c2d3e4f50617283940").unwrap();
        let hex = Some("65a0b1c2d3e4f50617283940".to_owned());
        assert_eq!(reference(Some(RawBsonRef::ObjectId(id)), "f"), Ok(hex.clone()));
        assert_eq!(reference(Some(RawBsonRef::String(&id.to_hex())), "f"), Ok(hex));
        assert_eq!(reference(Some(RawBsonRef::Null), "f"), Ok(None));
        assert_eq!(reference(None, "f"), Ok(None));
        assert_eq!(reference(Some(RawBsonRef::Int32(1)), "f"), Err(BadField("f")));
    }

    #[test]
    fn whole_numbers_come_in_any_width() {
        for value in [RawBsonRef::Int32(7), RawBsonRef::Int64(7), RawBsonRef::Double(7.0)] {
            assert_eq!(whole_or(Some(value), "f", 0), Ok(7));
        }
        assert_eq!(whole_or(None, "f", 3), Ok(3));
        for bad in [
            RawBsonRef::Double(7.5),
            RawBsonRef::Double(1e300),
            RawBsonRef::Double(f64::NAN),
            RawBsonRef::Null,
            RawBsonRef::String("7"),
        ] {
            assert_eq!(whole_or(Some(bad), "f", 0), Err(BadField("f")));
        }
    }

    #[test]
    fn dates_out_of_range_are_bad_not_a_panic() {
        let far = RawBsonRef::DateTime(bson::DateTime::from_millis(i64::MAX));
        assert_eq!(date(Some(far), "f"), Err(BadField("f")));
        assert_eq!(date(Some(RawBsonRef::String("2026-01-02")), "f"), Err(BadField("f")));
    }
}
