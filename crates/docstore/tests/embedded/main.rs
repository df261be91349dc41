//! Tests of the embedded engine: storage and durability.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

/// Collections, bulk writes and cursors.
mod basics;
/// Change feeds.
mod changes;
/// Lost, restored, damaged and full stores.
mod faults;
/// Foreign, newer, damaged and unreadable files.
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

/// A store in its own folder.
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

    /// Opens the same file again, as another process would.
    async fn again(&self) -> Database {
        open(Options { path: self.folder.path().join("store.db") }).await.unwrap()
    }
}

/// Collects the documents of a read.
async fn all(database: &Database, collection: &str, find: Find) -> Vec<docstore::bson::Document> {
    database.collection(collection).find(find).await.unwrap().documents().await.unwrap()
}
