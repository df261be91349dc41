use bson::Document;
use chrono::{DateTime, Utc};
use docstore::{Filter, Index, Sort, Update};

use super::row::Row;
use crate::domain::{Draft, Item, PatchOf, TrashType};

/// The name of a field that holds an unexpected value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadField(pub &'static str);

/// A draft whose fields are declared with `fields!`.
pub trait DraftFields: Draft {
    /// Reads the draft of a stored document.
    fn read(row: &Row<'_>) -> Result<Self, BadField>;

    /// Returns the fields of a new document.
    fn to_document(&self) -> Document;

    /// Returns the update that a patch makes.
    fn to_update(patch: &Self::Patch) -> Update;
}

/// A domain item that is stored in a collection.
pub trait Entity: Item<Draft: DraftFields> + Sized + Send + 'static {
    /// The name of the collection.
    const COLLECTION: &'static str;
    /// Selects the items of a list.
    type Filter: Send + Sync;

    /// Returns the indexes of the collection.
    fn indexes() -> Vec<Index>;

    /// Converts a stored document; fails with the first field that cannot be read.
    fn from_row(row: &Row<'_>) -> Result<Self, BadField>;

    /// Returns the documents that a filter selects. The repository excludes deleted ones.
    fn filter(filter: &Self::Filter) -> Filter;

    /// Returns the order of lists, without the id that ends it.
    fn sort() -> Sort;

    /// Adds the fields of a new document that follow from its draft.
    fn derive_on_insert(_draft: &Self::Draft, _now: DateTime<Utc>, _document: &mut Document) {}

    /// Adds the changes that follow from a patch.
    fn derive_on_update(&self, _patch: &PatchOf<Self>, _now: DateTime<Utc>, update: Update) -> Update {
        update
    }
}

/// An entity whose deleted documents stay in the collection until they are purged.
pub trait SoftDelete: Entity {
    /// The type in the trash.
    const TRASH_TYPE: TrashType;
    /// The field with the unique name in URLs.
    const NAME_FIELD: &'static str = "slug";
    /// The field that keeps a deleted document's name after another document took it.
    const FORMER_NAME_FIELD: &'static str = "slug_before";
}

/// An entity with a slug, which is unique in its collection.
pub trait Sluggable: SoftDelete {
    /// Returns its slug.
    fn slug(&self) -> &str;
}
