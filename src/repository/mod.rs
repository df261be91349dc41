//! Typed entities over the document store. Rows are lenient, since databases of every age are read; the domain is
//! strict. The indexes of a collection are declared beside its row.

/// Comments: indexes.
mod comment;
/// Where walks over lists go on.
mod cursor;
/// What makes a type an entity.
mod entity;
/// What can go wrong, seen from above the store.
mod error;
/// Whether what was made of reads still holds.
mod freshness;
/// What lies in a section.
mod holdings;
/// Making the declared indexes so.
mod indexes;
/// Lists, in parts.
mod list;
/// Links of the navigation: row, filter, indexes.
mod navlink;
/// The orders of lists, and the indexes that give them.
mod order;
/// Pages: row, filter, indexes, and how the name of a deleted one becomes free.
mod page;
/// A sign of life from the store.
mod probe;
/// Projects: row, filter, writes, indexes.
mod project;
/// Reactions: indexes.
mod reaction;
/// One repository for all entities.
mod repository_of;
/// Reading the fields of rows.
mod row;
/// Sections: row, filter, indexes.
mod section;
/// Slugs that items had before.
mod slug_history;
/// Stories: row, filter, writes, indexes.
mod story;
/// How many documents a filter means, kept between requests.
mod totals;
/// One at a time for changes of the tree of sections, among all processes.
mod tree_lock;
/// Users: row, indexes, and the race-free upsert.
mod user;
/// Writes.
mod write;

pub use docstore::Reads;
pub use entity::{BadField, Entity};
pub use error::Error;
pub use freshness::{Freshness, Reading};
pub use holdings::{Held, Holdings};
pub use indexes::{DeclaredIndex, IndexFailure, declared_indexes, ensure_all};
pub use page::PageRestored;
pub use probe::Probe;
pub use repository_of::Repository;
pub use tree_lock::TreeLock;
pub use user::{NewUser, User, Users};
pub use write::{FreeName, Named, Stored, Trashable, Writable};
