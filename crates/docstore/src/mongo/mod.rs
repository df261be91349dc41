//! The MongoDB engine: a thin translation to the official driver.

use crate::{Database, Result};

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

/// Connects, and waits until the server answered once.
pub async fn connect(options: Options) -> Result<Database> {
    let _ = options;
    todo!()
}

/// The driver's own handle, for what only MongoDB can do; `None` on the embedded engine.
pub fn as_mongo(database: &Database) -> Option<mongodb::Database> {
    let _ = database;
    todo!()
}
