//! The SQLite engine: BSON documents in one file.
//!
//! SQLite does storage, order, durability and transactions. A collection is a table of documents in the order of their
//! insertion, with their encoded ids; an index is a table of encoded keys. Matching, updating and sorting happen here, on
//! the documents' bytes, by MongoDB's rules.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::{Database, Error, Result};

/// Operations on the file as a whole.
mod admin;
/// The catalog of collections and indexes.
mod catalog;
/// The change feed.
mod changes;
/// The port, answered by the writer and the readers.
mod engine;
/// Mapping of SQLite's errors.
mod error;
/// Creation and opening of the file.
mod file;
/// Leases, and the locks that show whether a holder is alive.
mod lease;
mod query;
mod write;

/// The location of the store.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file; its folder is created if necessary.
    pub path: PathBuf,
}

/// Maximum duration of a transaction before it is rolled back, as on MongoDB.
const TRANSACTION_LIMIT: Duration = Duration::from_mins(1);

/// Opens or creates the store.
///
/// # Errors
/// [`crate::Error::NotOurs`] and [`crate::Error::NewerFormat`], leaving the file as it was;
/// [`crate::Error::Unavailable`] if it cannot be opened.
pub async fn open(options: Options) -> Result<Database> {
    open_with(options, TRANSACTION_LIMIT).await
}

/// Opens or creates the store with another limit on the duration of transactions.
pub async fn open_with(options: Options, transaction_limit: Duration) -> Result<Database> {
    let open =
        move || engine::SqliteEngine::open(&options.path, transaction_limit, file::Durability::PowerCut);
    match tokio::task::spawn_blocking(open).await {
        Ok(engine) => Ok(Database::new(Arc::new(engine?))),
        Err(error) => Err(Error::Engine { what: "opening the store", source: Box::new(error) }),
    }
}
