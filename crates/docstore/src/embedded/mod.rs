//! The embedded engine: BSON documents in one SQLite file of this process.

use std::path::PathBuf;

use crate::{Database, Result};

/// How the file is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file; its folder is made if it is not there.
    pub path: PathBuf,
}

/// Opens the store, or creates it.
///
/// # Errors
/// [`crate::Error::NotOurs`] and [`crate::Error::NewerFormat`], leaving the file as it was;
/// [`crate::Error::Unavailable`] if it cannot be opened.
pub async fn open(options: Options) -> Result<Database> {
    let _ = options;
    todo!()
}
