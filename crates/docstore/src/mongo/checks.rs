use bson::{Bson, Document, RawDocumentBuf};

use crate::model::filter::check_value;
use crate::{Error, Filter, Result, Update};

/// Rejects collection names that the server would reject, before anything is sent.
pub(crate) fn check_collection(name: &str) -> Result<()> {
    if name.is_empty() || name.starts_with('.') || name.ends_with('.') || name.contains(['$', '\0']) {
        return Err(Error::Invalid(format!("{name:?} is not a valid collection name")));
    }
    Ok(())
}

/// Rejects documents with unsupported types or with an array as their id.
pub(crate) fn check_document(document: &Document) -> Result<()> {
    document.values().try_for_each(check_value)?;
    match document.get("_id") {
        Some(Bson::Array(_)) => Err(Error::Invalid("an id must not be an array".into())),
        _ => Ok(()),
    }
}

pub(crate) fn check_insert(name: &str, documents: &[Document]) -> Result<()> {
    check_collection(name)?;
    documents.iter().try_for_each(check_document)
}

pub(crate) fn check_update(name: &str, filter: &Filter, update: &Update) -> Result<()> {
    filter.check()?;
    update.check()?;
    check_collection(name)
}

pub(crate) fn encoded(document: &Document) -> Result<RawDocumentBuf> {
    RawDocumentBuf::try_from(document)
        .map_err(|_| Error::Invalid("a document contains a field name that cannot be stored".into()))
}
