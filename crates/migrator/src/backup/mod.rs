//! Backups of collections: documents, indexes, validators and options.
//!
//! A backup is a folder named after its time:
//!
//! | file | contents |
//! |---|---|
//! | `manifest.json` | the source and the contents |
//! | `0001-stories.bson` | the documents of a collection, in the format of `mongodump` |
//! | `0001-stories.shape.bson` | its indexes, validator and options |
//! | `SHA256SUMS` | the checksums of all files, for `sha256sum -c` |
//!
//! It is written under a temporary name, flushed to disk, and renamed when it is complete: a folder with its final name
//! is a complete backup. Collections are read one after the other, ordered by id; a document that is written concurrently
//! may be in the backup as it was before or after. For one consistent moment, stop writing during the backup, as the
//! runner of a migration does for its own writes.
//!
//! A restore verifies every checksum first. Then it loads everything into temporary collections, and only when all are
//! complete renames each of them atomically. A restore that fails while it loads changes nothing, no reader sees half a
//! collection, and a restore that was killed can be repeated.

/// Files of documents, with checksums.
mod bson_file;
/// The folder of backups, and the folder of one with its manifest.
mod folder;
/// Backups before migrations.
mod policy;
/// Restoring a backup.
mod restore;
/// Taking a backup.
mod take;
/// Verifying a backup against its checksums.
mod verify;

pub use folder::{BackedUpCollection, BackupListing, Manifest, UnusableBackup, list, prune, resolve};
pub use policy::{BackupContext, BackupPolicy, BackupSettings, backup_reason, before_migration};
pub use restore::{RestoreReport, RestoreRequest, RestoredCollection, restore};
pub use take::{TakeRequest, take};
pub use verify::verify;
