use bson::{Bson, Document};

use crate::{Error, Result, Write};

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

/// Rejects collection names that a MongoDB server would reject.
pub(crate) fn check_collection_name(name: &str) -> Result<()> {
    if name.is_empty() || name.starts_with('.') || name.ends_with('.') || name.contains(['$', '\0']) {
        return Err(Error::Invalid(format!("{name:?} is not a valid collection name")));
    }
    Ok(())
}

impl Write {
    /// Checks the arguments of a write.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Insert(document) => check_document(document),
            Self::UpdateOne { filter, update } | Self::UpdateMany { filter, update } => {
                filter.check().and_then(|()| update.check())
            }
            Self::DeleteMany(filter) => filter.check(),
        }
    }
}
