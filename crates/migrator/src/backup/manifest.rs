use serde::{Deserialize, Serialize};

/// The format that this program writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;

/// The description of a backup: `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of the folder.
    pub format: u32,
    /// The id: the time and a random suffix.
    pub id: String,
    /// The time when it was taken, in RFC 3339.
    pub taken_at: String,
    /// The reason, one sentence.
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
    /// The location of the store, without a password.
    pub location: String,
    /// The name of the database, or of the file.
    pub database: String,
    /// The collections in it.
    pub collections: Vec<BackedUpCollection>,
    /// Requested collections that did not exist. A restore drops them.
    pub absent: Vec<String>,
    /// The number of documents.
    pub documents: u64,
    /// The bytes of all documents.
    pub bytes: u64,
}

/// One collection of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUpCollection {
    /// The name.
    pub name: String,
    /// The number of documents.
    pub documents: u64,
    /// The bytes of the documents.
    pub bytes: u64,
    /// The file with the documents.
    pub file: String,
    /// The SHA-256 of the file.
    pub sha256: String,
    /// The file with indexes, validator and options.
    pub shape_file: String,
    /// The SHA-256 of the file.
    pub shape_sha256: String,
    /// The indexes, as text.
    pub indexes: Vec<String>,
    /// The validator, as text.
    pub validator: Option<String>,
}
