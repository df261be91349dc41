use std::borrow::Cow;
use std::fmt;

use bson::{Bson, Document};

use crate::{Error, Result};

/// The name of a field, or a dotted path to one in nested documents (`auth_providers.provider`).
///
/// A field is created from a `&'static str`, so that input cannot become a field name, or by [`Field::parse`], which
/// validates it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(Cow<'static, str>);

impl Field {
    /// The field `_id`.
    pub const ID: Self = Self(Cow::Borrowed("_id"));

    /// Parses a path that is not a constant.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a part is empty, starts with `$`, contains a NUL or consists of digits: this store does
    /// not address array positions.
    pub fn parse(path: impl Into<String>) -> Result<Self> {
        let field = Self(Cow::Owned(path.into()));
        field.check()?;
        Ok(field)
    }

    /// Validates the path as [`Field::parse`] does; engines call this before they use a field.
    pub(crate) fn check(&self) -> Result<()> {
        let bad = |part: &str| {
            part.is_empty()
                || part.starts_with('$')
                || part.contains('\0')
                || part.bytes().all(|b| b.is_ascii_digit())
        };
        if self.parts().any(bad) {
            return Err(Error::Invalid(format!("{:?} is not a field path", self.as_str())));
        }
        Ok(())
    }

    /// Wraps a path that an engine read from the database, without validating it.
    pub(crate) fn unchecked(path: String) -> Self {
        Self(Cow::Owned(path))
    }

    /// Returns the path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the parts between the dots.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// Returns the value at this path; arrays are not looked into.
    pub fn value_in<'d>(&self, document: &'d Document) -> Option<&'d Bson> {
        let mut parts = self.parts();
        let first = document.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.as_document()?.get(part))
    }

    /// Returns true if the paths are equal or one is a parent of the other.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let (short, long) = if self.0.len() <= other.0.len() { (self, other) } else { (other, self) };
        long.0.strip_prefix(&*short.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl From<&'static str> for Field {
    fn from(path: &'static str) -> Self {
        Self(Cow::Borrowed(path))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Rejects collection names that a MongoDB server would reject.
pub(crate) fn check_collection_name(name: &str) -> Result<()> {
    if name.is_empty() || name.starts_with('.') || name.ends_with('.') || name.contains(['$', '\0']) {
        return Err(Error::Invalid(format!("{name:?} is not a valid collection name")));
    }
    Ok(())
}

/// Accepts the types that both engines store, compare and index alike.
pub(crate) fn check_value(value: &Bson) -> Result<()> {
    match value {
        Bson::Null
        | Bson::Boolean(_)
        | Bson::Int32(_)
        | Bson::Int64(_)
        | Bson::Double(_)
        | Bson::String(_)
        | Bson::DateTime(_)
        | Bson::Timestamp(_)
        | Bson::Binary(_)
        | Bson::ObjectId(_) => Ok(()),
        Bson::Array(values) => values.iter().try_for_each(check_value),
        Bson::Document(document) => document.values().try_for_each(check_value),
        other => Err(Error::Invalid(format!("values of type {:?} are not supported", other.element_type()))),
    }
}

/// Checks that every value of a document has a type that the store keeps, and names the field otherwise.
pub(crate) fn check_document(document: &Document) -> Result<()> {
    if matches!(document.get("_id"), Some(Bson::Array(_))) {
        return Err(Error::Invalid("an id must not be an array".into()));
    }
    for (field, value) in document {
        if let Err(error) = check_value(value) {
            return Err(match error {
                Error::Invalid(what) => Error::Invalid(format!("{field}: {what}")),
                other => other,
            });
        }
    }
    Ok(())
}
