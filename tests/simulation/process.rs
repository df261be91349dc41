use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use docstore::Database;
use docstore::engine::Engine;
use field_notes::clock::FixedClock;
use field_notes::config::Config;
use field_notes::http::{self, CachedService, ConcurrencyLimit, Gate, MiddlewareState, ResponseCache};
use field_notes::{repository, startup};
use migrator::UpMode;
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{AbortHandle, yield_now};
use tower::ServiceExt as _;

use crate::requests::{Answer, Request};
use crate::server::{Connection, ProcessId, Server};

/// The number of times that the tasks of a process yield to each other before it counts as quiet: more than any of them
/// wakes in turn.
const TURNS: usize = 4;

/// The number of a request.
pub(crate) type RequestId = usize;

/// A process of the application, without a socket.
pub(crate) struct Process {
    pub(crate) id: ProcessId,
    /// The step at which it started.
    pub(crate) born: usize,
    /// A runtime of its own, so that everything in the process ends with it.
    runtime: Runtime,
    router: CachedService,
    answers: Arc<Mutex<Vec<(RequestId, Answer)>>>,
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime")
}

/// Reads the configuration of all processes.
pub(crate) fn config() -> Config {
    let lookup = |name: &str| match name {
        "ADMIN_EMAIL" => Some("admin@example.com".to_owned()),
        "ALLOW_DEV_AUTH" => Some("true".to_owned()),
        _ => None,
    };
    let mut config = Config::read(lookup).expect("a valid configuration");
    config.middleware.unlimited = true;
    config
}

/// Migrates an empty store in memory, for all runs to start from.
pub(crate) fn prepare(config: &Config, clock: &FixedClock, now: bson::DateTime) -> Arc<dyn Engine> {
    let database = docstore::memory::open();
    runtime().block_on(async {
        let settings = startup::settings(config, &database, "simulation").await;
        let settings = migrator::Settings { clock: Arc::new(move || now), ..settings };
        let migrator = startup::migrator(&database, settings).expect("the migrations are a graph");
        migrator.up(UpMode::Start).await.expect("the migrations apply");
        repository::ensure_all(&database).await.expect("the indexes can be created");
        let (router, gate) = application(config, clock);
        gate.open(startup::services(config, &database, Arc::new(clock.clone())));
        for who in ["admin", "author"] {
            let me = axum::http::Request::builder()
                .uri("/me")
                .header("authorization", format!("Bearer dev-mock-{who}"));
            let me = me.body(axum::body::Body::empty()).expect("a request");
            let answer = router.clone().oneshot(me).await.expect("an answer");
            assert_eq!(answer.status(), 200, "{who} signs in");
        }
    });
    Arc::clone(database.engine())
}

fn application(config: &Config, clock: &FixedClock) -> (CachedService, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let app = http::AppState::from(http::AppStateParts {
        gate: Arc::clone(&gate),
        clock: Arc::new(clock.clone()),
        // The time of a run is that of its steps: no limit of the real time ends a request.
        request_timeout: Duration::from_hours(1),
        middleware: MiddlewareState::new(config.middleware.clone()),
        cache: Arc::new(ResponseCache::new(&config.cache)),
        concurrency: ConcurrencyLimit::new(config.max_concurrent),
    });
    (http::router(app), gate)
}

impl Process {
    pub(crate) fn start(
        config: &Config,
        clock: &FixedClock,
        server: &Arc<Mutex<Server>>,
        id: ProcessId,
    ) -> Self {
        let database = Database::new(Arc::new(Connection { server: Arc::clone(server), process: id }));
        let (router, gate) = application(config, clock);
        let services = startup::services(config, &database, Arc::new(clock.clone()));
        let (runtime, tracker) = (runtime(), services.change_tracker.clone());
        gate.open(services);
        runtime.spawn(async move { tracker.follow(Duration::from_hours(1)).await });
        let born = server.lock().step;
        let process = Self { id, born, runtime, router, answers: Arc::default() };
        process.run();
        process
    }

    /// Runs all tasks until they wait for the store.
    pub(crate) fn run(&self) {
        self.runtime.block_on(async {
            for _ in 0..TURNS {
                yield_now().await;
            }
        });
    }

    pub(crate) fn send(&self, id: RequestId, request: &Request) -> AbortHandle {
        let (router, answers, request) = (self.router.clone(), Arc::clone(&self.answers), request.to_http());
        let task = self.runtime.spawn(async move {
            let (parts, body) = router.oneshot(request).await.expect("an answer").into_parts();
            let body = to_bytes(body, usize::MAX).await.expect("a body").to_vec();
            answers.lock().push((id, Answer { status: parts.status.as_u16(), headers: parts.headers, body }));
        });
        task.abort_handle()
    }

    /// Returns the answers since the last call.
    pub(crate) fn take_answers(&self) -> Vec<(RequestId, Answer)> {
        std::mem::take(&mut self.answers.lock())
    }
}
