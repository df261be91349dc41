//! Rows: the names of stored fields, their readers, and the filters that reads, writes and lists share.

#![expect(clippy::option_option, reason = "the outer option says whether the value can be read")]

use std::str::FromStr;

use bson::raw::RawElement;
use bson::{Bson, RawBsonRef, RawDocument};
use chrono::{DateTime, Utc};
use docstore::Filter;

use super::Error;
use crate::domain::{Id, Meta, Visibility, is_script_url, is_web_url};

/// The collection of former names.
pub(super) const SLUG_HISTORY: &str = "slug_history";
/// The field that counts the changes of a document. Documents of the original do not have it.
pub(super) const VERSION: &str = "version";
pub(super) const SLUG: &str = "slug";
pub(super) const CREATED: &str = "createdDate";
pub(super) const UPDATED: &str = "updatedDate";
pub(super) const DELETED: &str = "deletedDate";
/// Integers beyond 2^53 are not exact as doubles.
const MAX_EXACT_DOUBLE: f64 = 9_007_199_254_740_992.0;

/// The name of a field that holds an unexpected value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadField(pub &'static str);

/// Reads a document of a collection with `from_row`.
pub(super) fn read_row<T>(
    collection: &'static str,
    document: &RawDocument,
    from_row: impl FnOnce(&Row<'_>) -> Result<T, BadField>,
) -> Result<T, Error> {
    Row::new(document).and_then(|row| from_row(&row)).map_err(|BadField(field)| {
        let id = document.get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok());
        Error::Corrupt { collection, id: display_id(&id.unwrap_or(Bson::Null)), field }
    })
}

/// Formats an id of any type for people.
pub(super) fn display_id(id: &Bson) -> String {
    match id {
        Bson::ObjectId(id) => id.to_hex(),
        Bson::String(text) => text.clone(),
        other => format!("{other}"),
    }
}

/// The elements of a stored document, borrowed from its bytes. Values are decoded when they are read.
pub struct Row<'a>(Vec<RawElement<'a>>);

/// The value of a field; `None` if it is missing or null.
pub(super) type Value<'a> = Option<RawBsonRef<'a>>;

impl<'a> Row<'a> {
    /// Splits a document into its elements.
    pub(super) fn new(document: &'a RawDocument) -> Result<Self, BadField> {
        let elements = document.iter_elements().collect::<Result<_, _>>();
        elements.map(Self).map_err(|_| BadField("(document)"))
    }

    /// Reads a field; fails with its name if `reader` does not accept the value.
    pub(super) fn read<T>(
        &self,
        field: &'static str,
        reader: impl FnOnce(Value<'a>) -> Option<T>,
    ) -> Result<T, BadField> {
        let element = self.0.iter().rfind(|element| element.key().as_str() == field);
        let value = element.map(RawElement::value).transpose().map_err(|_| BadField(field))?;
        reader(value.filter(|value| *value != RawBsonRef::Null)).ok_or(BadField(field))
    }

    /// Reads the fields that every entity has.
    pub(super) fn meta(&self) -> Result<Meta, BadField> {
        Ok(Meta {
            id: self.read("_id", object_id)?,
            created: self.read(CREATED, date)?,
            updated: self.read(UPDATED, date)?,
            user_id: self.read("user_id", reference)?,
        })
    }
}

/// Declares the stored form of a draft's fields: reader and name. Null counts as missing.
macro_rules! fields {
    ($draft:ident, $patch:ident { $($field:ident: $reader:expr => $name:literal,)+ }) => {
        impl $crate::repository::DraftFields for $draft {
            fn read(row: &$crate::repository::Row<'_>) -> Result<Self, $crate::repository::BadField> {
                Ok(Self { $($field: row.read($name, $reader)?,)+ })
            }

            fn to_document(&self) -> bson::Document {
                let Self { $($field,)+ } = self;
                bson::doc! { $($name: $field.clone(),)+ }
            }

            fn to_update(patch: &$patch) -> docstore::Update {
                let $patch { $($field,)+ } = patch.clone();
                let update = docstore::Update::new();
                $(let update = match $crate::domain::FieldPatch::change($field) {
                    Some(value) => update.set($name, value),
                    None => update,
                };)+
                update
            }
        }
    };
}
pub(super) use fields;

/// Selects documents that are not deleted. Deleted ones have either of two marks, or both.
pub(super) fn not_deleted() -> Filter {
    Filter::and([Filter::ne("deleted", true), Filter::ne("is_deleted", true)])
}

/// Selects deleted documents: the opposite of [`not_deleted`], in a form that uses the index of each mark.
pub(super) fn is_deleted() -> Filter {
    Filter::or([Filter::eq("deleted", true), Filter::eq("is_deleted", true)])
}

/// Selects visible documents. One without the field is not published.
pub(super) fn visible(visibility: Visibility) -> Filter {
    let published = Filter::eq("is_published", true);
    match visibility {
        Visibility::Published => published,
        Visibility::PublishedOrOwned(owner) => Filter::or([published, refers("user_id", owner)]),
        Visibility::All => Filter::All,
    }
}

/// Selects documents whose field refers to an id: as text, or as an object id in some old databases.
pub(super) fn refers(field: &'static str, id: Id) -> Filter {
    Filter::is_in(field, [Bson::String(id.to_string()), Bson::ObjectId(id.object_id())])
}

/// Reads a required string.
pub(super) fn text(value: Value<'_>) -> Option<String> {
    value?.as_str().map(str::to_owned)
}

/// Reads a required string, or the first one of a list.
pub(super) fn first_text(value: Value<'_>) -> Option<String> {
    match value? {
        RawBsonRef::Array(texts) => text(texts.into_iter().next()?.ok()),
        value => text(Some(value)),
    }
}

/// Reads a string that is empty by default.
pub(super) fn text_or_empty(value: Value<'_>) -> Option<String> {
    if value.is_none() { Some(String::new()) } else { text(value) }
}

/// Reads a list of strings that is empty by default.
pub(super) fn texts(value: Value<'_>) -> Option<Vec<String>> {
    match value {
        None => Some(Vec::new()),
        Some(value) => value.as_array()?.into_iter().map(|element| text(element.ok())).collect(),
    }
}

/// Reads a required object id.
pub(super) fn object_id(value: Value<'_>) -> Option<Id> {
    value?.as_object_id().map(Id::from)
}

/// Reads an optional reference to another document, as text.
pub(super) fn reference(value: Value<'_>) -> Option<Option<String>> {
    match value {
        None => Some(None),
        Some(RawBsonRef::String(text)) => Some(Some(text.to_owned())),
        Some(RawBsonRef::ObjectId(id)) => Some(Some(id.to_hex())),
        Some(_) => None,
    }
}

/// Reads a required word of an enum.
pub(super) fn word<T: FromStr>(value: Value<'_>) -> Option<T> {
    value?.as_str()?.parse().ok()
}

/// Reads a word of an enum that has a default.
pub(super) fn word_or_default<T: FromStr + Default>(value: Value<'_>) -> Option<T> {
    if value.is_none() { Some(T::default()) } else { word(value) }
}

/// Reads a whole number of any width, zero by default.
pub(super) fn integer_or_zero(value: Value<'_>) -> Option<i64> {
    match value {
        None => Some(0),
        Some(RawBsonRef::Int32(n)) => Some(i64::from(n)),
        Some(RawBsonRef::Int64(n)) => Some(n),
        Some(RawBsonRef::Double(n)) if n.fract() == 0.0 && n.abs() < MAX_EXACT_DOUBLE =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "whole, and within range")]
            Some(n as i64)
        }
        Some(_) => None,
    }
}

/// Reads an optional whole number of any width.
pub(super) fn optional_integer(value: Value<'_>) -> Option<Option<i64>> {
    if value.is_none() { Some(None) } else { integer_or_zero(value).map(Some) }
}

/// Reads a boolean that is false by default.
pub(super) fn flag(value: Value<'_>) -> Option<bool> {
    value.map_or(Some(false), RawBsonRef::as_bool)
}

/// Reads a boolean that is true by default.
pub(super) fn flag_or_true(value: Value<'_>) -> Option<bool> {
    value.map_or(Some(true), RawBsonRef::as_bool)
}

/// Reads an optional web URL. Another scheme could run a script when it is clicked.
pub(super) fn web_url(value: Value<'_>) -> Option<Option<String>> {
    match value {
        None | Some(RawBsonRef::String("")) => Some(None),
        Some(RawBsonRef::String(url)) if is_web_url(url) => Some(Some(url.to_owned())),
        Some(_) => None,
    }
}

/// Reads a required link target. Old databases hold any text; URLs that run a script are rejected.
pub(super) fn link_target(value: Value<'_>) -> Option<String> {
    text(value).filter(|url| !is_script_url(url))
}

/// Reads a required date.
pub(super) fn date(value: Value<'_>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(value?.as_datetime()?.timestamp_millis())
}

/// Reads an optional date.
pub(super) fn optional_date(value: Value<'_>) -> Option<Option<DateTime<Utc>>> {
    if value.is_none() { Some(None) } else { date(value).map(Some) }
}

/// Returns the stored form of a date.
pub(super) fn instant(at: DateTime<Utc>) -> Bson {
    Bson::DateTime(bson::DateTime::from_chrono(at))
}

#[cfg(test)]
mod tests {
    use bson::oid::ObjectId;

    use super::*;

    #[test]
    fn references_are_read_from_strings_and_object_ids() {
        let id = ObjectId::parse_str("65a0b1c2d3e4f50617283940").unwrap();
        let hex = Some(Some("65a0b1c2d3e4f50617283940".to_owned()));
        assert_eq!(reference(Some(RawBsonRef::ObjectId(id))), hex);
        assert_eq!(reference(Some(RawBsonRef::String(&id.to_hex()))), hex);
        assert_eq!(reference(None), Some(None));
        assert_eq!(reference(Some(RawBsonRef::Int32(1))), None);
    }

    #[test]
    fn integers_are_read_from_every_numeric_type() {
        for value in [RawBsonRef::Int32(7), RawBsonRef::Int64(7), RawBsonRef::Double(7.0)] {
            assert_eq!(integer_or_zero(Some(value)), Some(7));
        }
        assert_eq!(integer_or_zero(None), Some(0));
        for bad in [
            RawBsonRef::Double(7.5),
            RawBsonRef::Double(1e300),
            RawBsonRef::Double(f64::NAN),
            RawBsonRef::Null,
            RawBsonRef::String("7"),
        ] {
            assert_eq!(integer_or_zero(Some(bad)), None);
        }
    }

    #[test]
    fn dates_out_of_range_are_rejected_without_panic() {
        let far = RawBsonRef::DateTime(bson::DateTime::from_millis(i64::MAX));
        assert_eq!(date(Some(far)), None);
        assert_eq!(date(Some(RawBsonRef::String("2026-01-02"))), None);
    }

    #[test]
    fn null_counts_as_missing_and_bad_fields_are_named() {
        let document = bson::rawdoc! { "title": null, "n": "x" };
        let row = Row::new(&document).unwrap();
        assert_eq!(row.read("title", text_or_empty), Ok(String::new()));
        assert_eq!(row.read("other", reference), Ok(None));
        assert_eq!(row.read("n", integer_or_zero), Err(BadField("n")));
        assert_eq!(row.read("title", text), Err(BadField("title")));
    }
}
