//! The checks of the fuzz targets of stored documents.

use std::fmt::Debug;

use bson::{Bson, Document, RawDocument, RawDocumentBuf};
use docstore::UpdateOp;

use super::row::Row;
use super::{DraftFields, Entity, Error, Repository};
use crate::domain::Draft;

pub(crate) use super::entities::user::read_user;
pub(crate) use super::lists::fuzz::cursors;

/// Reads an item.
pub(crate) fn read_row<E: Entity>(document: &RawDocument) -> Option<E> {
    match Repository::<E>::read(document) {
        Ok(item) => Some(item),
        Err(Error::Corrupt { collection, field, .. }) => {
            assert!(collection == E::COLLECTION && !field.is_empty());
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// Asserts that a draft is read as it was stored.
pub(crate) fn assert_draft_is_read_back<D: DraftFields + PartialEq + Debug>(draft: &D) {
    let stored = RawDocumentBuf::try_from(&draft.to_document()).expect("a draft can be stored");
    let row = Row::new(&stored).expect("it is a document");
    assert_eq!(D::read(&row).as_ref(), Ok(draft));
}

/// Asserts that a patch changes fields to the values that the draft has.
pub(crate) fn assert_patch_sets<D: DraftFields>(draft: &D, patch: &<D as Draft>::Patch) {
    let document: Document = draft.to_document();
    let update = D::to_update(patch);
    for op in update.ops() {
        let UpdateOp::Set(field, value) = op else { panic!("{op:?}") };
        // Null and an empty list are those of a draft without the field.
        assert_eq!(document.get(field.as_str()).unwrap_or(&Bson::Null), value, "{field}");
    }
}
