use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use docstore::Database;
use migrator::{Migrator, Settings, Stop};
use uuid::Uuid;

use super::progress::Display;
use super::told;
use crate::cli::{Ended, told_to_end};
use crate::config::{Config, StoreConfig};
use crate::startup;

/// The exit code of a run that was told to end.
const INTERRUPTED: i32 = 130;

/// What a verb means to do to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    /// Nothing.
    Look,
    /// To change what is there; there is nothing to do if it is not there yet.
    Change,
    /// Bring it into being.
    Make,
}

/// What a verb works on: an open store, the engine over it, and the configuration.
pub(super) struct Desk {
    pub(super) database: Database,
    pub(super) migrator: Migrator,
    pub(super) config: Config,
    /// Whether a program reads.
    json: bool,
    display: Arc<Display>,
    /// Stands for an embedded store that is not there: opening would make its file, and looking must not.
    stand_in: Option<PathBuf>,
}

impl Desk {
    pub(super) async fn open(config: Config, intent: Intent, json: bool) -> Result<Self, Ended> {
        let (store, stand_in) = match &config.store {
            StoreConfig::Embedded { path } if intent != Intent::Make && !path.exists() => {
                let folder = env::temp_dir().join(format!("field-notes-{}", Uuid::new_v4()));
                (StoreConfig::Embedded { path: folder.join("empty.db") }, Some(folder))
            }
            store => (store.clone(), None),
        };
        let database = startup::open_store(&store).await?;
        let display = Arc::new(Display::new());
        let actor = env::var("USER").unwrap_or_else(|_| "command line".to_owned());
        let stop = Stop::new();
        let observer = Arc::clone(&display) as _;
        let settings = Settings { observer, stop: stop.clone(), ..startup::settings(&config, &actor) };
        if intent != Intent::Look {
            tokio::spawn(end_well(stop));
        }
        let migrator = startup::migrator(&database, settings)?;
        Ok(Self { database, migrator, config, json, display, stand_in })
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

/// Told to end, a run ends between two batches; told so once more, at once.
async fn end_well(stop: Stop) {
    told_to_end().await;
    eprintln!("ending at the next safe place; told once more, at once");
    stop.request();
    told_to_end().await;
    // As after a kill: whoever comes next goes on.
    std::process::exit(INTERRUPTED);
}
