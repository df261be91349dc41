use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use docstore::Database;
use migrator::{Migrator, Settings};
use uuid::Uuid;

use super::progress::Display;
use super::told;
use crate::cli::Ended;
use crate::config::{Config, StoreConfig};
use crate::startup;

/// What a verb means to do to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    /// Nothing, or nothing if it is not there yet.
    Look,
    /// Bring it into being.
    Make,
}

/// What a verb works on: an open store, the engine over it, and the configuration.
pub(super) struct Desk {
    pub(super) database: Database,
    pub(super) migrator: Migrator,
    /// Whether a program reads.
    json: bool,
    display: Arc<Display>,
    /// Stands for an embedded store that is not there: opening would make its file, and looking must not.
    stand_in: Option<PathBuf>,
}

impl Desk {
    pub(super) async fn open(config: Config, intent: Intent, json: bool) -> Result<Self, Ended> {
        let (store, stand_in) = match &config.store {
            StoreConfig::Embedded { path } if intent == Intent::Look && !path.exists() => {
                let folder = env::temp_dir().join(format!("field-notes-{}", Uuid::new_v4()));
                (StoreConfig::Embedded { path: folder.join("empty.db") }, Some(folder))
            }
            store => (store.clone(), None),
        };
        let database = startup::open_store(&store).await?;
        let display = Arc::new(Display::new());
        let actor = env::var("USER").unwrap_or_else(|_| "command line".to_owned());
        let settings = Settings { observer: Arc::clone(&display) as _, ..startup::settings(&config, &actor) };
        let migrator = startup::migrator(&database, settings)?;
        Ok(Self { database, migrator, json, display, stand_in })
    }

    /// Whether somebody sits there who can be asked.
    pub(super) fn may_ask(&self) -> bool {
        !self.json && told::is_asked()
    }

    /// Whether there is no store yet.
    pub(super) fn is_bare(&self) -> bool {
        self.stand_in.is_some()
    }

    pub(super) async fn close(self) {
        self.display.end();
        self.database.close().await;
        if let Some(folder) = self.stand_in {
            // What the system clears anyway.
            let _ = fs::remove_dir_all(folder);
        }
    }
}
