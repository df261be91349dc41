use std::fmt;

/// The engine of a database.
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

/// A lasting problem of a store that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The reason. Names no path and no host.
    pub reason: String,
    /// Set if what the store returns is right, so that requests should still be sent here.
    pub serves: bool,
}

/// The topology of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    /// A local file.
    File,
    /// One MongoDB server without replication: no transactions, no change stream.
    Standalone,
    /// A replica set of this name.
    ReplicaSet(String),
    /// A sharded cluster behind `mongos`.
    Sharded,
}

/// Facts about the store behind a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// The engine.
    pub engine: EngineKind,
    /// The version of the server, or of SQLite.
    pub version: String,
    /// MongoDB's wire version; 0 on SQLite.
    pub wire_version: i32,
    /// The topology.
    pub topology: Topology,
    /// Set if [`crate::Database::begin`] is supported.
    pub transactions: bool,
    /// Set if [`crate::Database::watch`] names each changed document. Otherwise it reports at intervals that something may
    /// have changed.
    pub precise_changes: bool,
}

/// The privileges of the connected user in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rights {
    /// All privileges: the server requires no login, or the store is a file.
    Unlimited,
    /// All privileges but these actions, by the server's names; an empty list lacks none.
    Lacking(Vec<String>),
}

/// Disk space used and free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes used by the documents, or by the file.
    pub used: u64,
    /// Bytes free on its disk; `None` if the server does not report them.
    pub free: Option<u64>,
}
