use std::env;
use std::panic::resume_unwind;
use std::path::PathBuf;

use mongodb::Client;
use tempfile::TempDir;

use crate::locate::{self, UNAVAILABLE};
use crate::{Engine, record, shared};

/// The store of one test, removed when the test ends.
pub enum Target {
    /// The path of an embedded store that does not exist yet.
    Embedded {
        /// The store's file.
        path: PathBuf,
        /// Keeps the folder until the end of the test.
        guard: TempDir,
    },
    /// An empty database on a real server.
    Mongo {
        /// The connection string, without a database.
        uri: String,
        /// The name of the database.
        database: String,
    },
}

impl Target {
    /// Returns the engine.
    pub fn engine(&self) -> Engine {
        match self {
            Self::Embedded { .. } => Engine::Embedded,
            Self::Mongo { .. } => Engine::Mongo,
        }
    }

    /// Returns the location of the store.
    pub fn location(&self) -> StoreLocation {
        match self {
            Self::Embedded { path, .. } => StoreLocation::Embedded(path.clone()),
            Self::Mongo { uri, database } => {
                StoreLocation::Mongo { uri: uri.clone(), database: database.clone() }
            }
        }
    }

    async fn create(engine: Engine) -> Result<Self, String> {
        match engine {
            Engine::Embedded => {
                let guard = record::scratch("store-").expect("failed to create a temporary folder");
                Ok(Self::Embedded { path: guard.path().join("store.db"), guard })
            }
            Engine::Mongo => {
                Ok(Self::Mongo { uri: shared::uri().await?, database: shared::new_database_name() })
            }
        }
    }
}

/// The location of a store that several processes open.
#[derive(Debug, Clone)]
pub enum StoreLocation {
    /// The file of an embedded store.
    Embedded(PathBuf),
    /// A database on a server.
    Mongo {
        /// The connection string, without a database.
        uri: String,
        /// The name of the database.
        database: String,
    },
}

impl StoreLocation {
    /// Encodes the location for an environment variable.
    pub fn to_variable(&self) -> String {
        match self {
            Self::Embedded(path) => format!("embedded {}", path.display()),
            Self::Mongo { uri, database } => format!("{database} {uri}"),
        }
    }

    /// Decodes the result of [`StoreLocation::to_variable`].
    pub fn from_variable(text: &str) -> Self {
        match text.split_once(' ').expect("a location has two parts") {
            ("embedded", path) => Self::Embedded(path.into()),
            (database, uri) => Self::Mongo { uri: uri.into(), database: database.into() },
        }
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("failed to build a runtime")
}

fn report_skipped(reason: &str) {
    // Under `with-mongod` the run itself fails at its end, after all tests have been reported.
    assert!(
        env::var_os(UNAVAILABLE).is_some() || !locate::is_ci(),
        "no MongoDB server, which CI=true requires: {reason}"
    );
    println!("not run: {reason}");
}

/// Runs a test body on a new store and records it unless it panics.
pub fn on<F>(engine: Engine, body: impl FnOnce(std::sync::Arc<Target>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = runtime();
    let target = match runtime.block_on(Target::create(engine)) {
        Ok(target) => std::sync::Arc::new(target),
        Err(reason) => return report_skipped(&reason),
    };
    let body = body(std::sync::Arc::clone(&target));
    let outcome = runtime.block_on(async { tokio::spawn(body).await });
    if let (Target::Mongo { uri, database }, false) = (&*target, shared::is_dropped_later()) {
        runtime.block_on(async {
            if let Ok(client) = Client::with_uri_str(uri).await {
                let _ = client.database(database).drop().await;
            }
        });
    }
    finish(engine, outcome);
}

/// Runs a test that starts its own servers from the given binary, and records it as a test on a real `mongod`.
pub fn with_server_binary<F>(body: impl FnOnce(PathBuf) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let binary = match (env::var(UNAVAILABLE), locate::installed_binary()) {
        (_, Some(binary)) => binary,
        (Ok(reason), None) => return report_skipped(&reason),
        (Err(_), None) => return report_skipped("no mongod on PATH or under target/"),
    };
    let runtime = runtime();
    let body = body(binary);
    let outcome = runtime.block_on(async { tokio::spawn(body).await });
    finish(Engine::Mongo, outcome);
}

fn finish(engine: Engine, outcome: Result<(), tokio::task::JoinError>) {
    match outcome {
        Ok(()) => record::passed(engine),
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(other) => panic!("the task of the test was canceled: {other}"),
        },
    }
}
