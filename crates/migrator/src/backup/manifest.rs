use serde::{Deserialize, Serialize};

/// The format that this program writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;

/// What a backup says of itself: `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// The layout of the folder.
    pub format: u32,
    /// Its name: the time, and something random.
    pub id: String,
    /// When it was taken, as RFC 3339.
    pub taken_at: String,
    /// Why, in a sentence.
    pub why: String,
    /// The run that it was taken for.
    pub run_id: Option<String>,
    /// The migration that it was taken for.
    pub migration: Option<String>,
    /// The version of the program.
    pub app_version: String,
    /// The engine: `MongoDB` or `embedded store`.
    pub engine: String,
    /// The version of the server, or of SQLite.
    pub server_version: String,
    /// `standalone`, `replica set NAME`, `sharded cluster` or `file`.
    pub topology: String,
    /// Where the store was. Never a password.
    pub location: String,
    /// The name of the database, or of the file.
    pub database: String,
    /// What is in it.
    pub collections: Vec<BackedUpCollection>,
    /// Collections that were asked for and were not there. A restore takes them away.
    pub absent: Vec<String>,
    /// All documents.
    pub documents: u64,
    /// All bytes of documents.
    pub bytes: u64,
}

/// One collection of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackedUpCollection {
    /// Its name.
    pub name: String,
    /// How many documents.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The file with the documents.
    pub file: String,
    /// Its SHA-256.
    pub sha256: String,
    /// The file with indexes, validator and options, exactly.
    pub shape_file: String,
    /// Its SHA-256.
    pub shape_sha256: String,
    /// The indexes, for people.
    pub indexes: Vec<String>,
    /// The validator, for people.
    pub validator: Option<String>,
}
