use bson::{Document, RawDocument, RawDocumentBuf};

use crate::sqlite::catalog::{CollectionMeta, StoredValidator};
use crate::{Error, Result, ValidationAction, ValidationLevel};

/// The most bytes of a document.
const LIMIT: usize = 16 * 1024 * 1024;

/// Asks the validator of the collection, if there is one.
pub(crate) fn check_valid(
    stored: &CollectionMeta,
    old: Option<&RawDocument>,
    new: &RawDocument,
) -> Result<()> {
    let Some(StoredValidator { validator, must }) = &stored.validator else { return Ok(()) };
    if must.matches(new)? {
        return Ok(());
    }
    if let (ValidationLevel::Moderate, Some(old)) = (validator.level, old)
        && !must.matches(old)?
    {
        return Ok(());
    }
    match validator.action {
        ValidationAction::Error => Err(Error::InvalidDocument { collection: stored.name.clone() }),
        ValidationAction::Warn => {
            tracing::warn!(
                collection = stored.name,
                "a document does not satisfy the collection's validator"
            );
            Ok(())
        }
    }
}

/// The bytes of a document, if they are not too many.
pub(crate) fn encode(collection: &str, document: &Document) -> Result<RawDocumentBuf> {
    let raw = RawDocumentBuf::try_from(document).map_err(|e| Error::Invalid(e.to_string()))?;
    match raw.as_bytes().len() {
        bytes if bytes > LIMIT => Err(Error::TooLarge { collection: collection.to_owned(), bytes }),
        _ => Ok(raw),
    }
}
