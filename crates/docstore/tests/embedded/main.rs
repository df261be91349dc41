//! The embedded engine through the port: what it stores, and what it keeps through faults.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

/// Bulk writes, cursors and what a collection does in general.
mod basics;
/// What a feed of changes tells.
mod changes;
/// Files that are not ours, newer, damaged or cannot be opened.
mod files;
/// Leases between stores and processes.
mod leases;
/// Kills and other processes.
mod processes;
/// Transactions.
mod transactions;

use docstore::sqlite::{Options, open};
use docstore::{Database, Find};
use tempfile::TempDir;

/// A store in a folder of its own.
struct Fixture {
    folder: TempDir,
    database: Database,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = open(Options { path: folder.path().join("store.db") }).await.unwrap();
        Self { folder, database }
    }

    /// Another handle to the same file, as another process would have.
    async fn again(&self) -> Database {
        open(Options { path: self.folder.path().join("store.db") }).await.unwrap()
    }
}

/// The documents of a read.
async fn all(database: &Database, collection: &str, find: Find) -> Vec<docstore::bson::Document> {
    database.collection(collection).find(find).await.unwrap().documents().await.unwrap()
}
