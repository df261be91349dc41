//! Start-up and shutdown: from a configuration to a server that answers requests.

/// The text that a developer sees after a start.
mod banner;
/// The failures of the next start.
mod failures;
/// Progress of a run of migrations.
mod meter;
/// The migrations phase.
mod migrate;
/// The phases and their failures.
mod phase;
/// Creates repositories and services.
mod services;
/// Opens the store.
mod store;
/// Watches the indexes while content is served.
mod watch;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use docstore::Database;
use migrator::{CancellationToken, UpReport};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

pub use failures::{expected_failures, special_collections};
pub use meter::Meter;
pub use migrate::{migrator, settings};
pub use phase::{Failure, Phase};
pub use services::services;
pub use store::open as open_store;

use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Environment, OnStartFailure};
use crate::http::{
    self, AppState, AppStateParts, ConcurrencyLimit, ConnectionSettings, Gate, MiddlewareState, ResponseCache,
};
use crate::repository;

/// The exit code of a start whose migrations were stopped by a signal.
const INTERRUPTED: u8 = 130;

/// The timeout for ending the registration as a server.
const UNREGISTER_TIMEOUT: Duration = Duration::from_secs(1);

/// File descriptors that are reserved for the store, logs and outgoing requests.
const RESERVED_FILES: usize = 512;

/// A server that is bound to its port. Its gate is closed until [`Application::run`] has completed the start.
pub struct Application {
    config: Config,
    listener: TcpListener,
    address: SocketAddr,
    started_at: Instant,
}

/// The result of a start.
type Started = Result<Serving, Failure>;

/// An open store from which content is served.
struct Serving {
    database: Database,
    /// The migrations that ran.
    report: Option<UpReport>,
    /// Ends the registration as a server.
    unregister: CancellationToken,
    /// Keeps the registration.
    registration: Option<JoinHandle<()>>,
    /// Processes videos until the registration ends.
    video_worker: Option<JoinHandle<()>>,
    /// Run until the store is closed.
    tasks: Vec<JoinHandle<()>>,
}

impl Serving {
    async fn close(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.unregister.cancel();
        if let Some(registration) = self.registration {
            // A store that does not answer does not delay the end: the registration expires.
            let _ = tokio::time::timeout(UNREGISTER_TIMEOUT, registration).await;
        }
        if let Some(worker) = self.video_worker {
            // The same holds for the job that is interrupted.
            let _ = tokio::time::timeout(UNREGISTER_TIMEOUT, worker).await;
        }
        self.database.close().await;
    }
}

impl Application {
    /// Binds the port.
    pub async fn bind(config: Config) -> Result<Self, Failure> {
        let started_at = Instant::now();
        let failed = |error| Failure::bind(config.listen, &error);
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        tracing::info!(%address, "listening; content is served once start-up is complete");
        if config.allow_dev_auth && !address.ip().to_canonical().is_loopback() {
            tracing::warn!(%address, "development tokens are accepted: anyone who reaches this address is administrator");
        }
        Ok(Self { config, listener, address, started_at })
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts, serves until `shutdown` completes, drains requests, and closes the store.
    ///
    /// # Errors
    ///
    /// Returns the failure of a phase, unless `ON_START_FAILURE` is `stay`.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), Failure> {
        let Self { config, listener, address, started_at } = self;
        let gate = Arc::new(Gate::default());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let app = AppState::from(AppStateParts {
            gate: Arc::clone(&gate),
            clock: Arc::clone(&clock),
            request_timeout: config.request_timeout,
            middleware: MiddlewareState::new(config.middleware.clone()),
            cache: Arc::new(ResponseCache::new(&config.cache)),
            concurrency: ConcurrencyLimit::new(config.max_concurrent),
        });
        let (stop_server, stopped) = oneshot::channel::<()>();
        let stopped = async move { _ = stopped.await };
        let mut server =
            tokio::spawn(http::serve(listener, http::router(app), connections(&config), stopped));
        tokio::pin!(shutdown);
        let outcome = match start_unless(&config, &gate, clock, shutdown.as_mut()).await {
            Some(Ok(serving)) => {
                tracing::info!(duration_ms = milliseconds(started_at), "serving");
                if config.environment == Environment::Development {
                    let Serving { database, report, .. } = &serving;
                    banner::print(&config, address, database, report.as_ref(), started_at.elapsed());
                }
                shutdown.await;
                gate.drain();
                tracing::info!(
                    seconds = config.shutdown_delay.as_secs(),
                    "shutting down: serving until no new requests are routed here (SHUTDOWN_DELAY_SECONDS)"
                );
                tokio::time::sleep(config.shutdown_delay).await;
                Ok(Some(serving))
            }
            Some(Err(failure))
                if config.on_start_failure == OnStartFailure::Stay && failure.exit != INTERRUPTED =>
            {
                let phase = failure.phase.name();
                tracing::error!(phase, error = failure.message, "start failed; staying alive");
                gate.fail(phase, failure.public_text());
                shutdown.await;
                Ok(None)
            }
            Some(Err(failure)) => Err(failure),
            None => Ok(None),
        };
        let grace = if outcome.is_ok() { config.shutdown_grace } else { Duration::ZERO };
        tracing::info!(
            seconds = grace.as_secs(),
            "shutting down: waiting at most this long for requests in progress (SHUTDOWN_GRACE_SECONDS)"
        );
        drop(stop_server);
        if tokio::time::timeout(config.connections.close_notice + grace, &mut server).await.is_err() {
            if outcome.is_ok() {
                tracing::warn!("requests in progress are aborted");
            }
            server.abort();
        }
        tracing::info!("stopped");
        if let Some(serving) = outcome? {
            serving.close().await;
        }
        Ok(())
    }
}

/// Starts. Returns `None` if `shutdown` completes first, unless it interrupts a migration.
async fn start_unless(
    config: &Config,
    gate: &Arc<Gate>,
    clock: Arc<dyn Clock>,
    shutdown: Pin<&mut (impl Future<Output = ()> + Send)>,
) -> Option<Started> {
    let stop = CancellationToken::new();
    let starting = start(config, gate, clock, stop.clone());
    tokio::pin!(starting);
    tokio::select! {
        started = &mut starting => return Some(started),
        () = shutdown => {}
    }
    tracing::info!("shutdown requested during start-up");
    if gate.readiness().phase != Some(Phase::Migrations.name()) {
        return None;
    }
    tracing::info!(
        seconds = config.shutdown_grace.as_secs(),
        "waiting for the migration to stop between two batches"
    );
    // A migration stops between two batches and records that in the ledger. If that takes too long, abandoning it is
    // safe: its lease expires and the next run resumes.
    stop.cancel();
    match tokio::time::timeout(config.shutdown_grace, starting).await {
        Ok(Err(failure)) if failure.exit == INTERRUPTED => Some(Err(failure)),
        Ok(Ok(serving)) => {
            serving.close().await;
            None
        }
        Ok(Err(_)) | Err(_) => None,
    }
}

/// Runs the phases from the store to the open gate.
async fn start(config: &Config, gate: &Arc<Gate>, clock: Arc<dyn Clock>, stop: CancellationToken) -> Started {
    let database = phase(gate, Phase::Store, store::open(&config.store, &config.backup_dir)).await?;
    let prepared = async {
        let migrations = migrate::on_start(config, &database, gate, stop);
        let report = phase(gate, Phase::Migrations, migrations).await?;
        let indexes = async {
            refuse(failures::before_indexes(config, &database).await?)?;
            match repository::ensure_all(&database).await {
                // A missing unique index is noticed while serving: then writes are refused.
                Err(error) if config.store.is_read_only() || error.is_disk_full() => {
                    tracing::warn!(%error, "an index is missing until a restart creates it: reads may be slow");
                    Ok(0)
                }
                outcome => outcome.map_err(|error| Failure::indexes(&error)),
            }
        };
        phase(gate, Phase::Indexes, indexes).await?;
        let migrator = if config.store.is_read_only() {
            None
        } else {
            let settings = settings(config, &database, "server").await;
            Some(migrator(&database, settings).map_err(|error| Failure::migrations(&error))?)
        };
        Ok((report, migrator))
    };
    match prepared.await {
        Ok((report, migrator)) => {
            let services = services(config, &database, clock);
            let (change_tracker, max_age) = (services.change_tracker.clone(), config.cache_max_age);
            let mut tasks = vec![tokio::spawn(async move { change_tracker.follow(max_age).await })];
            // Before the first write, since a start on a full disk goes on without an index.
            let refused = !config.store.is_read_only() && watch::check_indexes(&database, false).await;
            let video_worker =
                if config.store.is_read_only() { None } else { services::video_worker(config, &services) };
            gate.open(services);
            let unregister = CancellationToken::new();
            let video_worker = video_worker.map(|worker| {
                let stop = unregister.clone();
                tokio::spawn(async move { worker.run(stop.cancelled()).await })
            });
            // A store that is only read has neither.
            let registration = migrator.map(|migrator| {
                tasks.push(tokio::spawn(watch::watch_indexes(database.clone(), refused)));
                let unregister = unregister.clone();
                tokio::spawn(async move { migrator.serve_registered(&unregister).await })
            });
            Ok(Serving { database, report, unregister, registration, video_worker, tasks })
        }
        Err(failure) => {
            database.close().await;
            Err(failure)
        }
    }
}

/// Ends a start with the first of these failures.
fn refuse(failures: Vec<Failure>) -> Result<(), Failure> {
    failures.into_iter().next().map_or(Ok(()), Err)
}

async fn phase<T>(
    gate: &Gate,
    phase: Phase,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let phase = phase.name();
    gate.progress(|progress| *progress = http::Readiness::starting(Some(phase)));
    let started_at = Instant::now();
    let outcome = work.instrument(tracing::info_span!("start", phase)).await;
    tracing::info!(phase, duration_ms = milliseconds(started_at), ok = outcome.is_ok(), "phase completed");
    outcome
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Raises the limit of open files, and lowers `MAX_CONNECTIONS` to what it allows.
fn connections(config: &Config) -> ConnectionSettings {
    let allowed = http::raise_socket_limit().and_then(|limit| usize::try_from(limit).ok());
    let allowed = allowed.map_or(usize::MAX, |limit| limit.saturating_sub(RESERVED_FILES).max(limit / 2));
    let max_connections = config.connections.max_connections.min(allowed);
    if max_connections < config.connections.max_connections {
        tracing::warn!(
            max_connections,
            "the limit of open files allows fewer connections than MAX_CONNECTIONS"
        );
    }
    ConnectionSettings { max_connections, ..config.connections }
}
