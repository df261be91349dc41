//! The MongoDB engine: a thin translation to the official driver.
//!
//! Writes are acknowledged by a majority and journaled unless the connection string sets another write concern; reads use
//! the primary. The driver retries single reads, single writes, `insert_many` and the inserts of a batch. It does not retry
//! the `update` and `delete` commands of a batch: if the connection breaks during one, its outcome is unknown and the
//! caller gets [`crate::Error::Unavailable`].
//!
//! Nothing here is newer than MongoDB 6.0, and only operations that `mongos` allows are used: counts are aggregations,
//! events come from one stream of the whole database, updates of many documents do not need the shard key. On a
//! *sharded collection* of MongoDB 6.0, `update_one`, `delete_one` and `find_one_and_update` need the shard key in their
//! filter (the first two accept `_id` instead), and a unique index must start with the shard key. Unsharded collections
//! have no such limits.

use std::fmt;
use std::sync::Arc;

pub use mongodb;

use crate::{Database, Result};

/// Operations on the database and its collections as a whole.
mod admin;
/// Change streams, and polling on a standalone server.
mod change_stream;
/// Commands in the log.
mod command_log;
mod connect;
/// Adapts connection strings that were written for other drivers.
mod connection_string;
/// The engine, its transactions, and the database handle that both share.
mod engine;
mod error;
mod explain;
/// Reads, and reads after a position.
mod find;
/// Indexes, and decoding of those that the server lists.
mod indexes;
/// Leases on the server's clock.
mod lease;
/// The shapes of commands, for tests.
#[cfg(debug_assertions)]
mod shapes;
/// Privileges of the user, disk space and replication lag.
mod status;
/// Filters, updates, sorts and projections as documents.
mod translate;
mod write;

use engine::MongoEngine;
#[cfg(debug_assertions)]
#[doc(hidden)]
pub use shapes::command_shapes;

/// Connection options.
#[derive(Clone)]
pub struct Options {
    /// The connection string. Its options take precedence over the defaults of this module.
    pub uri: String,
    /// The database; that of the connection string if `None`.
    pub database: Option<String>,
    /// The name of this client in the server's logs.
    pub app_name: String,
}

impl fmt::Debug for Options {
    /// Omits the connection string, because it may contain a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("database", &self.database)
            .field("app_name", &self.app_name)
            .finish_non_exhaustive()
    }
}

/// Connects and waits for the first response of the server.
///
/// # Errors
/// [`crate::Error::Invalid`] if the connection string is malformed or names no database;
/// [`crate::Error::Unavailable`] if no server answers within the selection timeout (five seconds unless the
/// connection string sets another); [`crate::Error::Unauthorized`] if it rejects the credentials. Messages name hosts
/// and database, never a user or a password.
pub async fn connect(options: Options) -> Result<Database> {
    let engine = connect::connect(options).await?;
    Ok(Database::new(Arc::new(engine)))
}

/// Returns the driver's handle, for features that only MongoDB has; `None` on the embedded engine.
pub fn as_mongo(database: &Database) -> Option<mongodb::Database> {
    database.engine().as_any().downcast_ref::<MongoEngine>().map(|engine| engine.core.database.clone())
}
