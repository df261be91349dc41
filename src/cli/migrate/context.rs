use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use docstore::Database;
use migrator::{Migrator, Settings, Stop};
use uuid::Uuid;

use super::output;
use super::progress::Display;
use crate::cli::{CliError, shutdown_signal};
use crate::config::{Config, StoreConfig};
use crate::startup;

/// The exit code of a run that was told to end.
const INTERRUPTED: i32 = 130;

/// What a verb means to do to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AccessMode {
    /// Nothing.
    Read,
    /// To change what is there; there is nothing to do if it is not there yet.
    Write,
    /// Bring it into being.
    Create,
}

/// What a verb works on: an open store, the engine over it, and the configuration.
pub(super) struct Context {
    pub(super) database: Database,
    pub(super) migrator: Migrator,
    pub(super) config: Config,
    /// Whether a program reads.
    json: bool,
    display: Arc<Display>,
    /// Stands for an embedded store that is not there: opening would make its file, and looking must not.
    placeholder: Option<PathBuf>,
}

impl Context {
    pub(super) async fn open(config: Config, access: AccessMode, json: bool) -> Result<Self, CliError> {
        let (store, placeholder) = match &config.store {
            StoreConfig::Embedded { path } if access != AccessMode::Create && !path.exists() => {
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
        if access != AccessMode::Read {
            tokio::spawn(stop_on_signal(stop));
        }
        let migrator = startup::migrator(&database, settings)?;
        Ok(Self { database, migrator, config, json, display, placeholder })
    }

    /// Whether somebody sits there who can be asked.
    pub(super) fn is_interactive(&self) -> bool {
        !self.json && output::is_interactive()
    }

    /// Whether there is no store yet.
    pub(super) fn is_missing(&self) -> bool {
        self.placeholder.is_some()
    }

    pub(super) async fn close(self) {
        self.display.end();
        self.database.close().await;
        if let Some(folder) = self.placeholder {
            // What the system clears anyway.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// Output to end, a run ends between two batches; told so once more, at once.
async fn stop_on_signal(stop: Stop) {
    shutdown_signal().await;
    eprintln!("ending at the next safe place; told once more, at once");
    stop.request();
    shutdown_signal().await;
    // As after a kill: whoever comes next goes on.
    std::process::exit(INTERRUPTED);
}
