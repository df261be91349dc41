//! The MongoDB engine: a thin translation to the official driver.
//!
//! Writes are acknowledged by a majority and journalled, reads come from the primary, unless the connection string
//! says otherwise. Retryable are single reads and writes and `insert_many`; of a batch, its inserts. The `update` and
//! `delete` commands of a batch are not: if the connection breaks under one, its outcome is unknown and the caller
//! gets [`crate::Error::Unavailable`].
//!
//! Nothing here is newer than MongoDB 6.0, and only operations that `mongos` allows are used: counts are
//! aggregations, events come from one stream of the whole database, changes to many documents do not need the shard
//! key. On a *sharded collection* of MongoDB 6.0, `update_one`, `delete_one` and `find_one_and_update` want the shard
//! key, or for the first two the `_id`, in their filter, and a unique index has to start with the shard key. Collections that
//! are not sharded have no such limits.

use std::fmt;
use std::sync::Arc;

use crate::{Database, Result};

/// Operations on the database as a whole.
mod admin;
/// Change streams, and polling on a standalone server.
mod change_stream;
/// Checks of requests before they are sent.
mod checks;
/// The connection string, the pool, the first ping.
mod connect;
/// The engine itself.
mod engine;
/// Mapping of the driver's errors.
mod error;
/// Replication lag.
mod lag;
/// Leases on the server's clock.
mod lease;
/// Filters, updates and indexes as MongoDB documents.
mod mql;
/// Query documents back to filters.
mod parse;
/// The limit on concurrent operations.
mod pool;
mod query;
/// Privileges of the user, and disk space.
mod rights;
mod schema;
/// Filters, updates, sorts and projections as documents.
mod translate;
mod write;

use engine::MongoEngine;

/// How to reach the server.
#[derive(Clone)]
pub struct Options {
    /// The connection string. Options in it win over the defaults of this module.
    pub uri: String,
    /// The database; the one of the connection string if `None`.
    pub database: Option<String>,
    /// How the server names this client in its logs.
    pub app_name: String,
}

impl fmt::Debug for Options {
    /// Leaves the connection string out: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("database", &self.database)
            .field("app_name", &self.app_name)
            .finish_non_exhaustive()
    }
}

/// Connects, and waits until the server answered once.
///
/// # Errors
/// [`crate::Error::Invalid`] if the connection string is malformed or names no database;
/// [`crate::Error::Unavailable`] if no server answers within the selection timeout (five seconds unless the
/// connection string says otherwise); [`crate::Error::Unauthorized`] if it refuses the credentials. The texts name
/// hosts and database, never a user or a password.
pub async fn connect(options: Options) -> Result<Database> {
    let engine = connect::connect(options).await?;
    Ok(Database::new(Arc::new(engine)))
}

/// The driver's own handle, for what only MongoDB can do; `None` on the embedded engine.
pub fn as_mongo(database: &Database) -> Option<mongodb::Database> {
    database.engine().as_any().downcast_ref::<MongoEngine>().map(|engine| engine.core.database.clone())
}
