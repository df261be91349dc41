use std::time::Duration;

use docstore::{Database, Error, mongo, sqlite};

use super::{Failure, Phase};
use crate::config::StoreConfig;

/// The time to connect. The driver's own deadline is a little shorter and does not cover a server that accepts the
/// connection and never answers.
const DEADLINE: Duration = Duration::from_millis(5_700);

/// Opens the configured store and pings it.
pub async fn open(config: &StoreConfig) -> Result<Database, Failure> {
    let opened = match config {
        StoreConfig::Mongo { uri, database, app_name } => {
            let options = mongo::Options {
                uri: uri.clone(),
                database: Some(database.clone()),
                app_name: app_name.clone(),
            };
            let late = || Err(Error::Unavailable(format!("{}/{database}: no answer in time", hosts(uri))));
            tokio::time::timeout(DEADLINE, mongo::connect(options)).await.unwrap_or_else(|_| late())
        }
        StoreConfig::Embedded { path } => sqlite::open(sqlite::Options { path: path.clone() }).await,
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
        (StoreConfig::Embedded { path }, _) => at(path.display().to_string()),
    };
    Failure { phase: Phase::Store, message, exit }
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
