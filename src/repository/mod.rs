//! Typed entities over the document store. Rows are lenient because they read databases of every age; the domain is
//! strict. The indexes of a collection are declared beside its row.

/// Tracks which writes invalidate earlier reads.
mod changes;
/// Reads and replaces the HTML of stored items.
pub mod contents;
/// Finds documents that a unique index does not allow.
pub mod duplicates;
/// Reactions and comments.
mod engagement;
/// One file per resource: row, filter, writes, declared indexes.
mod entities;
/// The traits of stored domain types.
mod entity;
/// Repository errors.
mod error;
/// The checks of the fuzz targets of stored documents.
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
/// The memory of creates that clients may repeat.
mod idempotency;
/// Creates the declared indexes.
mod indexes;
/// List queries, orders, cursors and totals.
mod lists;
/// Finds the files that documents refer to.
pub mod media_references;
/// Finds documents that name a section which does not exist.
pub mod orphans;
/// The repository of an entity, and its reads other than lists.
mod reads;
/// Finds the items that refer to uploaded files.
mod referrers;
/// The fields of stored documents, their readers, and shared filters.
mod row;
/// Counts and moves the contents of a section.
mod section_contents;
/// Former names in URLs, and the look-up of current and former ones.
mod slug_history;
/// Serializes changes to the section tree across processes.
mod tree_lock;
/// Creates, updates, renames, deletes and restores entities.
mod writes;

pub use changes::ChangeTracker;
pub use docstore::{Problem, ReadSet, ReadTracker};
pub use engagement::{Contributions, EngagementRecords, forget_counts};
pub use entities::{
    ClaimedVideoJob, DeletedMedia, NewUser, PageRestore, User, Users, VideoJobs, VideoOutcome, WorkerLease,
};
pub use entity::{DraftFields, Entity, Sluggable, SoftDelete};
pub use error::Error;
pub use idempotency::CreateInProgress;
pub use indexes::{
    DeclaredIndex, IndexFailure, declared_indexes, ensure_all, ensure_of, expected_failures, index_conflicts,
    missing_unique_indexes, special_collections,
};
pub use reads::{Repository, Versioned};
pub use referrers::{Referrers, ReferringItem};
pub use row::{BadField, Row};
pub use section_contents::{ContentCounts, SectionContents};
pub use tree_lock::{CONTENT_LOCK, TreeLock};
pub use writes::{Change, New};
