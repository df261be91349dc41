//! The open store that a command works on.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::{self, PathBuf};
use std::sync::Arc;
use std::{env, fs};

use docstore::Database;
use migrator::{CancellationToken, Migrator, Settings};
use uuid::Uuid;

use super::output::{CliError, Output, print, print_error};
use super::progress::Display;
use crate::config::{Config, StoreCheck, StoreConfig};
use crate::startup;

/// The access of a command to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AccessMode {
    /// Only reads. An embedded store that does not exist is not created.
    Read,
    /// Changes an existing store. An embedded store that does not exist is not created: there is nothing to change.
    Write,
    /// Changes the store, and creates it if it does not exist.
    Create,
}

/// An open store with the migration engine and the configuration.
pub(super) struct Context {
    pub(super) database: Database,
    pub(super) migrator: Migrator,
    pub(super) config: Config,
    /// Ends a run of migrations between two batches.
    pub(super) stop: CancellationToken,
    json: bool,
    /// The absolute path of the embedded store, or the hosts and the database of MongoDB.
    location: String,
    display: Arc<Display>,
    /// Folder of the empty store that replaces an embedded store that does not exist.
    placeholder: Option<PathBuf>,
}

impl Context {
    async fn open(config: Config, access: AccessMode, json: bool) -> Result<Self, CliError> {
        let (store, placeholder) = match &config.store {
            // Opening would create the file. Where a start could not do that either, opening fails with the words of the start.
            StoreConfig::Embedded { path, read_only: false, .. }
                if access != AccessMode::Create
                    && fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) =>
            {
                let folder = env::temp_dir().join(format!("field-notes-{}", Uuid::new_v4()));
                let path = folder.join("empty.db");
                (StoreConfig::Embedded { path, read_only: false, check: StoreCheck::Off }, Some(folder))
            }
            store => (store.clone(), None),
        };
        let database = startup::open_store(&store, &config.backup_dir).await?;
        let display = Arc::new(Display::new());
        let stop = CancellationToken::new();
        let actor = env::var("USER").unwrap_or_else(|_| "command line".to_owned());
        let observer = Arc::clone(&display) as _;
        let settings =
            Settings { observer, stop: stop.clone(), ..startup::settings(&config, &database, &actor).await };
        let migrator = startup::migrator(&database, settings)?;
        // Not part of the result, but a command for the wrong store must be noticed.
        let location = match &config.store {
            StoreConfig::Embedded { path, .. } => {
                path::absolute(path).map_err(CliError::failed)?.display().to_string()
            }
            StoreConfig::Mongo { .. } => database.location(),
        };
        let missing = if placeholder.is_some() { ", which does not exist yet" } else { "" };
        print_error(&format!("store: {location}{missing}"));
        Ok(Self { database, migrator, config, stop, json, location, display, placeholder })
    }

    /// Asks for confirmation, if a person is at the terminal. Returns `false` without a terminal.
    ///
    /// # Errors
    /// If the person does not confirm, which ends the command.
    pub(super) fn confirm(&self, warning: &str) -> Result<bool, CliError> {
        if self.json || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Ok(false);
        }
        print(&format!("{warning}continue? [y/N] ")).map_err(CliError::failed)?;
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer).is_ok();
        let confirmed = read && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
        if confirmed { Ok(true) } else { Err(CliError::canceled()) }
    }

    /// Refuses to destroy data from which a server is serving.
    pub(super) async fn refuse_running_servers(&self) -> Result<(), CliError> {
        let running = self.migrator.running_servers().await?;
        let Some(longest) = running.iter().map(|holder| holder.remaining.as_secs() + 1).max() else {
            return Ok(());
        };
        let owners: Vec<_> = running.iter().map(|holder| holder.owner.as_str()).collect();
        Err(CliError::refused(format!(
            "a server is running on this store: {}; nothing was changed\n  stop it first (if it was killed, it counts as \
             running for another {longest} s), or add --force and restart it afterwards",
            owners.join(", ")
        )))
    }

    /// Returns whether the configured store does not exist yet.
    pub(super) fn store_is_missing(&self) -> bool {
        self.placeholder.is_some()
    }

    /// Opens the store, runs a command on it, and closes it.
    pub(super) async fn with(
        config: Config,
        access: AccessMode,
        json: bool,
        run: impl AsyncFnOnce(&Self) -> Result<Output, CliError>,
    ) -> Result<Output, CliError> {
        let context = Self::open(config, access, json).await?;
        let outcome = run(&context).await;
        context.display.end();
        context.database.close().await;
        if let Some(folder) = context.placeholder {
            // A leftover is harmless: the system clears its temporary folder.
            let _ = fs::remove_dir_all(folder);
        }
        outcome.map(|output| output.with_store(&context.location))
    }
}
