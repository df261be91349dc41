//! Filters, updates and projections applied to documents, for the engines that keep documents themselves.

/// Filters and positions.
pub(crate) mod matcher;
/// Projections.
pub(crate) mod project;
/// Updates.
pub(crate) mod update;

use bson::{Document, RawDocumentBuf};

use crate::{Error, Result};

/// The maximum size of a document in bytes.
const MAX_DOCUMENT: usize = 16 * 1024 * 1024;

/// Moves the id to the front of a document.
pub(crate) fn id_first(mut document: Document) -> Document {
    if document.keys().next().is_none_or(|first| first == "_id") {
        return document;
    }
    // The other fields keep their order.
    let Some(id) = document.remove("_id") else { return document };
    let mut ordered = Document::new();
    ordered.insert("_id", id);
    ordered.extend(document);
    ordered
}

/// Encodes a document.
///
/// # Errors
/// [`Error::TooLarge`] above [`MAX_DOCUMENT`].
pub(crate) fn encode(collection: &str, document: &Document) -> Result<RawDocumentBuf> {
    let raw = RawDocumentBuf::try_from(document).map_err(|e| Error::Invalid(e.to_string()))?;
    match raw.as_bytes().len() {
        bytes if bytes > MAX_DOCUMENT => Err(Error::TooLarge { collection: collection.to_owned(), bytes }),
        _ => Ok(raw),
    }
}

/// Returns the error for a key that a unique index has already.
pub(crate) fn duplicate(collection: &str, index: &str, fields: Vec<String>) -> Error {
    Error::DuplicateKey { collection: collection.to_owned(), index: index.to_owned(), fields }
}
