//! The embedded engine: BSON documents in one SQLite file of this process.
//!
//! SQLite does storage, order, durability and transactions. A collection is a table of documents in the order of their
//! insertion, with their encoded ids; an index is a table of encoded keys. Which documents a filter matches, what an
//! update makes of them and how they sort is decided here, on their bytes, by MongoDB's rules.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::{Database, Error, Result};

/// What a document has to satisfy to be stored.
mod admission;
/// What the conditions of a filter say about the keys of an index.
mod bounds;
/// What collections and indexes there are.
mod catalog;
/// Operations that are ready to be run.
mod checked;
/// A read in progress.
mod cursor;
/// Collections, indexes and validators.
mod define;
/// The port, answered by the writer and the readers.
mod engine;
/// The change feed.
mod feed;
/// The file: whose it is, how it comes into being.
mod file;
/// One order-preserving encoding of values.
pub(crate) mod key;
/// The keys that a document has in an index.
mod keys;
/// How a document is laid out.
mod layout;
/// Leases, and the locks that tell whether a holder is alive.
mod lease;
/// Whether a document matches a filter.
mod matching;
/// Several ranges of indexes, walked at once.
mod merge;
/// How a dotted path leads to values.
pub(crate) mod paths;
/// Which index a read uses.
mod plan;
/// Leaving fields out of documents.
mod project;
/// The pool of read-only connections.
mod readers;
/// Walking over the documents that a plan reaches.
mod scan;
/// Writes of single documents, with their index entries.
mod session;
/// Sorting in memory.
mod sorting;
/// SQLite's errors in the words of the store.
mod sql;
/// A transaction, which has the writer to itself.
mod transaction;
/// Carrying out an update on a document.
mod update;
/// Care of the file as a whole.
mod upkeep;
/// The writing operations.
mod write;
/// The one writer's thread.
mod writer;

/// How the file is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file; its folder is made if it is not there.
    pub path: PathBuf,
}

/// How long things may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a transaction may be open before it is undone.
    pub transaction: Duration,
}

impl Default for Limits {
    /// As MongoDB has them.
    fn default() -> Self {
        Self { transaction: Duration::from_mins(1) }
    }
}

/// Opens the store, or creates it.
///
/// # Errors
/// [`crate::Error::NotOurs`] and [`crate::Error::NewerFormat`], leaving the file as it was;
/// [`crate::Error::Unavailable`] if it cannot be opened.
pub async fn open(options: Options) -> Result<Database> {
    open_with(options, Limits::default()).await
}

/// [`open`] with other limits than the usual ones.
pub async fn open_with(options: Options, limits: Limits) -> Result<Database> {
    let opened = tokio::task::spawn_blocking(move || engine::Embedded::open(&options, &limits)).await;
    match opened {
        Ok(engine) => Ok(Database::new(Arc::new(engine?))),
        Err(error) => Err(Error::Engine { what: "opening the store", source: Box::new(error) }),
    }
}
