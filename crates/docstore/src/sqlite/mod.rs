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
/// The check of a file before it is used.
mod check;
/// Opens connections.
mod connection;
/// The port, answered by the writer and the readers.
mod engine;
/// Faults of the file, and their detection.
mod faults;
/// The frames of a log.
mod frames;
/// Fuzz targets.
#[cfg(any(test, fuzzing))]
pub mod fuzz;
/// Leases, and the locks that show whether a holder is alive.
mod lease;
/// The log that a killed process leaves, and whether it belongs to the file.
mod log;
/// Creation and opening of the file.
mod open;
mod query;
mod write;

/// The location of the store.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file; its folder is created if necessary.
    pub path: PathBuf,
}

/// Settings of an open store.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Maximum duration of a transaction before it is rolled back.
    pub transaction: Duration,
    /// Opens the file for reading only: writes fail with [`Error::ReadOnly`], and a file that does not exist is not
    /// created.
    pub read_only: bool,
    /// The check of the file before it is used.
    pub check: FileCheck,
    /// Limits the file to a number of pages; beyond it, writes fail with [`Error::DiskFull`].
    pub max_pages: Option<u32>,
}

/// The check of a file before it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileCheck {
    /// Only a file with the log of a killed process is checked, as with [`FileCheck::Quick`].
    Off,
    /// The structure of the file, which reads all of it.
    Quick,
    /// The structure, every index against its table, and the checksum of every document.
    Full,
}

impl Default for Settings {
    /// Returns MongoDB's time limit of transactions, without a check.
    fn default() -> Self {
        Self { transaction: Duration::from_mins(1), read_only: false, check: FileCheck::Off, max_pages: None }
    }
}

/// Opens or creates the store.
///
/// # Errors
/// [`crate::Error::NotOurs`], [`crate::Error::NewerFormat`] and [`crate::Error::WrongLog`], leaving the file as it was;
/// [`crate::Error::ReadOnly`] if this user may not write it; [`crate::Error::Unavailable`] if it cannot be opened.
pub async fn open(options: Options) -> Result<Database> {
    open_with(options, Settings::default()).await
}

/// Opens or creates the store with other settings than the defaults.
pub async fn open_with(options: Options, settings: Settings) -> Result<Database> {
    let open = move || engine::SqliteEngine::open(&options.path, &settings, open::Durability::PowerCut);
    match tokio::task::spawn_blocking(open).await {
        Ok(engine) => Ok(Database::new(Arc::new(engine?))),
        Err(error) => Err(Error::Engine { what: "opening the store", source: Box::new(error) }),
    }
}
