use std::path::Path;

use docstore::sqlite::{FileCheck, Settings};
use docstore::{Database, Error, mongo, sqlite};
use migrator::backup;

use super::{Failure, Phase};
use crate::config::{StoreCheck, StoreConfig};

/// Opens the configured store and pings it. `backups` is the folder of backups.
pub async fn open(config: &StoreConfig, backups: &Path) -> Result<Database, Failure> {
    let opened = match config {
        StoreConfig::Mongo { uri, database, app_name } => {
            let options = mongo::Options {
                uri: uri.clone(),
                database: Some(database.clone()),
                app_name: app_name.clone(),
            };
            mongo::connect(options).await
        }
        StoreConfig::Embedded { path, read_only, check } => {
            refuse_emptied(path, backups)?;
            let check = match check {
                StoreCheck::Off => FileCheck::Off,
                StoreCheck::Quick => FileCheck::Quick,
                StoreCheck::Full => FileCheck::Full,
            };
            let settings = Settings { read_only: *read_only, check, ..Settings::default() };
            sqlite::open_with(sqlite::Options { path: path.clone() }, settings).await
        }
    };
    opened.map_err(|error| failure(config, &error))
}

fn failure(config: &StoreConfig, error: &Error) -> Failure {
    // Only a connection string can be invalid.
    let exit = if matches!(error, Error::Invalid(_)) { 2 } else { 1 };
    let text = error.to_string();
    let at = |place: String| if text.contains(&place) { text.clone() } else { format!("{place}: {text}") };
    let message = match (config, error) {
        (StoreConfig::Mongo { .. }, Error::Invalid(_)) => {
            format!("MONGO_URI: {error}; set it in .env or in the environment")
        }
        (StoreConfig::Mongo { uri, database, .. }, _) => at(format!("{}/{database}", hosts(uri))),
        (StoreConfig::Embedded { read_only: false, .. }, Error::ReadOnly(_)) => {
            format!("{text}; make it writable, or set READ_ONLY=true to serve it without writes")
        }
        (StoreConfig::Embedded { path, .. }, _) => at(path.display().to_string()),
    };
    Failure { phase: Phase::Store, message, exit }
}

/// Fails on an empty file of which there is a backup: it had content, so it is not taken for a new store.
fn refuse_emptied(path: &Path, backups: &Path) -> Result<(), Failure> {
    if !std::fs::metadata(path).is_ok_and(|found| found.len() == 0) {
        return Ok(());
    }
    let location = std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    let listing = backup::list(backups).unwrap_or_default();
    let Some(newest) = listing.backups.iter().find(|manifest| manifest.location == location) else {
        return Ok(());
    };
    let message = format!(
        "{location} is empty, but there is a backup of it: {}; delete the file to begin with an empty store, or to \
         restore the backup with: field-notes migrate restore {0}",
        newest.id
    );
    Err(Failure { phase: Phase::Store, message, exit: 1 })
}

/// Returns the hosts of a connection string, without the credentials.
fn hosts(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or("", |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts);
    rest.split(['/', '?']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connection_string_decides_how_long_a_server_is_awaited() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Longer than the default.
        let uri = format!("mongodb://{}/?serverSelectionTimeoutMS=6000", silent.local_addr().unwrap());
        let config = StoreConfig::Mongo { uri, database: "d".into(), app_name: "tests".into() };
        let failure = open(&config, Path::new("")).await.err().unwrap();
        assert!(failure.message.contains("Server selection timeout"), "{failure}");
    }

    #[test]
    fn hosts_exclude_credentials() {
        for (uri, expected) in [
            ("mongodb://a:1,b:2/x?y=z", "a:1,b:2"),
            ("mongodb://me:hunter2@a:1/x", "a:1"),
            ("mongodb://me:hun@ter2@a:1/x", "a:1"),
            ("mongodb+srv://c.example.net", "c.example.net"),
        ] {
            assert_eq!(hosts(uri), expected);
        }
    }
}
