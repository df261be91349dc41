//! Typed entities over the document store. Rows are lenient because they read databases of every age; the domain is
//! strict. The indexes of a collection are declared beside its row.

/// Tracks which writes invalidate earlier reads.
mod changes;
/// Indexes of comments.
mod comment;
/// One file per resource: row, filter, writes, declared indexes.
mod entities;
/// The trait that maps a domain type to its collection.
mod entity;
/// Repository errors.
mod error;
/// Creates the declared indexes.
mod indexes;
/// List queries, orders, cursors and totals.
mod lists;
/// Pings the store.
mod probe;
/// Indexes of reactions.
mod reaction;
/// The generic repository.
#[expect(clippy::module_inception, reason = "the folder and its central type have one name")]
mod repository;
/// Reads the fields of stored documents.
mod row;
/// Counts and moves the contents of a section.
mod section_contents;
/// Serializes changes to the section tree across processes.
mod tree_lock;
/// Creates, updates, renames, deletes and restores entities.
mod writes;

pub use changes::ChangeTracker;
pub use docstore::{ReadSet, ReadTracker};
pub use entities::{NewUser, PageRestored, User, Users};
pub use entity::{BadField, Entity};
pub use error::Error;
pub use indexes::{DeclaredIndex, IndexFailure, declared_indexes, ensure_all};
pub use probe::Probe;
pub use repository::Repository;
pub use section_contents::{ContentCounts, SectionContents};
pub use tree_lock::TreeLock;
pub use writes::{SlugReservation, Sluggable, SoftDelete, Versioned, Writable};
