use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use docstore::bson::DateTime;
use docstore::{Database, mongo, sqlite};
use migrator::{Observer, Settings};

/// Where a store is that several processes open.
#[derive(Clone)]
pub(crate) enum Place {
    Embedded(PathBuf),
    Mongo { uri: String, database: String },
}

impl Place {
    pub(crate) async fn open(&self) -> Database {
        match self {
            Self::Embedded(path) => sqlite::open(sqlite::Options { path: path.clone() }).await,
            Self::Mongo { uri, database } => {
                let (uri, database) = (uri.clone(), Some(database.clone()));
                mongo::connect(mongo::Options { uri, database, app_name: "tests".into() }).await
            }
        }
        .unwrap()
    }

    /// For a variable of another process.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Embedded(path) => format!("file {}", path.display()),
            Self::Mongo { uri, database } => format!("{database} {uri}"),
        }
    }

    /// What [`Place::told`] told.
    pub(crate) fn read(told: &str) -> Self {
        match told.split_once(' ').unwrap() {
            ("file", path) => Self::Embedded(path.into()),
            (database, uri) => Self::Mongo { uri: uri.into(), database: database.into() },
        }
    }
}

/// Settings that all of the processes have, so that their ends can be compared.
pub(crate) fn settings(observer: Option<Arc<dyn Observer>>) -> Settings {
    Settings {
        // Short, so that the next one takes over soon; long enough for a busy machine to renew it.
        lease_ttl: Duration::from_secs(3),
        clock: Arc::new(|| DateTime::from_millis(1_700_000_000_000)),
        observer: observer.unwrap_or_else(|| Arc::new(())),
        ..Settings::default()
    }
}

/// Runs what a child does.
pub(crate) fn block_on(work: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(work);
}
