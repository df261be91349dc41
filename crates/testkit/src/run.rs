use std::env;
use std::panic::resume_unwind;
use std::path::PathBuf;

use mongodb::Client;
use tempfile::TempDir;

use crate::locate::{self, UNAVAILABLE};
use crate::{Engine, record, shared};

/// A store of its own for one test; what is in it goes when the test ends.
pub enum Target {
    /// A path for an embedded store's file; nothing is there yet.
    Embedded {
        /// The file.
        path: PathBuf,
        /// Keeps the folder until the end of the test.
        guard: TempDir,
    },
    /// A database on a real server; nothing is in it yet.
    Mongo {
        /// The connection string. It names no database.
        uri: String,
        /// The database.
        database: String,
    },
}

impl Target {
    /// Which engine it is for.
    pub fn engine(&self) -> Engine {
        match self {
            Self::Embedded { .. } => Engine::Embedded,
            Self::Mongo { .. } => Engine::Mongo,
        }
    }

    async fn make(engine: Engine) -> Result<Self, String> {
        match engine {
            Engine::Embedded => {
                let guard = record::scratch("store-").expect("a temporary folder");
                Ok(Self::Embedded { path: guard.path().join("store.db"), guard })
            }
            Engine::Mongo => {
                Ok(Self::Mongo { uri: shared::uri().await?, database: shared::new_database_name() })
            }
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

fn not_run(reason: &str) {
    // Under `with-mongod` the end of the run fails, with all of its tests told.
    assert!(
        env::var_os(UNAVAILABLE).is_some() || !locate::is_ci(),
        "no MongoDB server, and CI=true wants one: {reason}"
    );
    println!("not run: {reason}");
}

/// Runs a test body on a store of its own, and records it if it does not panic.
pub fn on<F>(engine: Engine, body: impl FnOnce(std::sync::Arc<Target>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = runtime();
    let target = match runtime.block_on(Target::make(engine)) {
        Ok(target) => std::sync::Arc::new(target),
        Err(reason) => return not_run(&reason),
    };
    let body = body(std::sync::Arc::clone(&target));
    let outcome = runtime.block_on(async { tokio::spawn(body).await });
    if let (Target::Mongo { uri, database }, false) = (&*target, shared::is_swept_later()) {
        runtime.block_on(async {
            if let Ok(client) = Client::with_uri_str(uri).await {
                let _ = client.database(database).drop().await;
            }
        });
    }
    finish(engine, outcome);
}

/// Runs a test that starts servers of its own from the given binary, and records it as one on a real `mongod`.
pub fn with_server_binary<F>(body: impl FnOnce(PathBuf) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let binary = match (env::var(UNAVAILABLE), locate::present_binary()) {
        (_, Some(binary)) => binary,
        (Ok(reason), None) => return not_run(&reason),
        (Err(_), None) => return not_run("no mongod on PATH or under target/"),
    };
    let runtime = runtime();
    let body = body(binary);
    let outcome = runtime.block_on(async { tokio::spawn(body).await });
    finish(Engine::Mongo, outcome);
}

fn finish(engine: Engine, outcome: Result<(), tokio::task::JoinError>) {
    match outcome {
        Ok(()) => record::ran(engine),
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(other) => panic!("the test's task ended: {other}"),
        },
    }
}
