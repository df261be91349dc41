//! Entities: how a domain type is stored.

use bson::Document;
use chrono::{DateTime, Utc};
use docstore::{Direction, Filter, Index, Update};

use super::row::{BadField, Row, not_deleted, visible};
use crate::domain::{Draft, Item, PatchOf, TargetType, TrashType, Visibility};

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
    /// The order of lists, without the id that ends it.
    const ORDER: &'static [(&'static str, Direction)];
    /// Selects the items of a list.
    type Filter: Send + Sync;

    /// Returns the indexes of the collection.
    fn indexes() -> Vec<Index>;

    /// Converts a stored document; fails with the first field that cannot be read.
    fn from_row(row: &Row<'_>) -> Result<Self, BadField>;

    /// Returns the documents that a filter selects. The repository excludes deleted ones.
    fn filter(filter: &Self::Filter) -> Filter;

    /// Returns the documents that a visibility includes.
    fn visible(visibility: Visibility) -> Filter {
        visible(visibility)
    }

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
    /// The field with the title, or with several of which the first counts.
    const TITLE_FIELD: &'static str = "title";
    /// The type of its reactions and comments, if it takes any.
    const TARGET_TYPE: Option<TargetType> = None;
    /// The field that keeps a deleted document's name after another document took it.
    const FORMER_NAME_FIELD: &'static str = "slug_before";
}

/// An entity with a slug, which is unique in its collection.
pub trait Sluggable: SoftDelete {
    /// Returns its slug.
    fn slug(&self) -> &str;
}

/// Narrows a filter to what callers of this visibility see. The store applies it, so that a document which they do not
/// see is neither sent nor decoded.
pub(super) fn seen<E: Entity>(filter: Filter, visibility: Visibility) -> Filter {
    Filter::and([filter, not_deleted(), E::visible(visibility)])
}
