//! Backups of collections, taken by the program itself: documents, indexes, validators, options.
//!
//! A backup is a folder named after its time:
//!
//! | file | holds |
//! |---|---|
//! | `manifest.json` | what it is a backup of, and what is in it |
//! | `0001-stories.bson` | the documents of a collection one after the other, as `mongodump` writes them |
//! | `0001-stories.shape.bson` | its indexes, validator and options |
//! | `SHA256SUMS` | the sums of all of these, for `sha256sum -c` |
//!
//! It is written under another name, flushed to disk, and renamed when it is complete: a folder that has its name is a
//! whole backup. Collections are read one after the other, each by its ids; a document that is written meanwhile may be
//! in the backup as it was before or after. Who wants one moment for all stops writing, as a migration's runner does for
//! its own writes.
//!
//! A restore checks every sum first. Then it loads everything into collections beside those that are there, and only
//! when all are complete puts them in their places, each at once. So a restore that fails while it loads changes
//! nothing, nobody sees half a collection, and one that was killed is simply repeated.

/// One file of documents: written with its sum, read in batches.
mod bson_file;
/// What can go wrong.
mod error;
/// The folder of backups, and the folder of one.
mod folder;
/// What a backup says of itself.
mod manifest;
/// When a run is preceded by a backup.
mod policy;
/// Putting a backup back.
mod restore;
/// Taking a backup.
mod take;
/// Checking a backup against its sums.
mod verify;

pub use error::{BackupError, Result};
pub use folder::{BackupListing, UnreadableBackup, list, prune, resolve};
pub use manifest::{BackedUpCollection, Manifest};
pub use policy::{BackupContext, BackupPolicy, BackupSettings, backup_reason, before_migration};
pub use restore::{RestoreReport, RestoreRequest, RestoredCollection, restore};
pub use take::{TakeRequest, take};
pub use verify::verify;
