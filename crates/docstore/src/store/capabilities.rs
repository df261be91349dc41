use std::fmt;

/// Which engine serves a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// A MongoDB server.
    Mongo,
    /// SQLite in this process.
    Embedded,
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mongo => "MongoDB",
            Self::Embedded => "embedded store",
        })
    }
}

/// How the store is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    /// A file of this process.
    File,
    /// One MongoDB server without replication: no transactions, no change stream.
    Standalone,
    /// A replica set of this name.
    ReplicaSet(String),
    /// A sharded cluster behind `mongos`.
    Sharded,
}

/// What is known of the store behind a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// Which engine.
    pub engine: EngineKind,
    /// The version of the server, or of SQLite.
    pub version: String,
    /// MongoDB's wire version; 0 for the embedded engine.
    pub wire_version: i32,
    /// How it is laid out.
    pub topology: Topology,
    /// Whether [`crate::Database::begin`] works.
    pub transactions: bool,
    /// Whether [`crate::Database::watch`] names each changed document. If not, it tells at intervals that something
    /// may have changed.
    pub precise_changes: bool,
}
