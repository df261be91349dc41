//! From a configuration to a server that serves: the phases of the start in their order, and the end.

/// What is printed for whoever starts it by hand.
mod banner;
/// How far a run of migrations is.
mod meter;
/// Migrations as a phase of the start.
mod migrate;
/// The phases, and how each may fail.
mod phase;
/// Opening the store.
mod store;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use docstore::Database;
use migrator::Stop;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::Instrument as _;

pub use meter::{Meter, Reading};
pub use migrate::{migrator, settings};
pub use phase::{Failure, Phase};
pub use store::open as open_store;

use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Environment, OnStartFailure};
use crate::domain::Section;
use crate::http::{
    self, AppState, AppStateParts, ConcurrencyLimit, ConnectionSettings, Gate, MiddlewareState, ResponseCache,
};
use crate::identity::{self, Authenticator, DevelopmentTokens, Google, Roles, Verifier, VerifierChain};
use crate::repository::{self, Probe, Repository, SectionContents, TreeLock, Users};
use crate::service::{ChangeTracker, Health, NavLinks, Pages, Projects, Sections, Services, Stories, Trash};

/// The exit code of a start that was told to end while it migrated.
const INTERRUPTED: u8 = 130;

/// Of the files that the process may have open, so many are left for the store, for logs and for questions to others.
const OTHER_SOCKETS: usize = 512;

/// A server that is bound to its port. Its gate is closed until [`Application::run`] has gone through the start.
pub struct Application {
    config: Config,
    listener: TcpListener,
    address: SocketAddr,
    began: Instant,
}

impl Application {
    /// Binds the port.
    pub async fn bind(config: Config) -> Result<Self, Failure> {
        let began = Instant::now();
        let wanted = SocketAddr::new(config.host, config.port);
        let listener = TcpListener::bind(wanted).await.map_err(|error| Failure::bind(wanted, &error))?;
        let address = listener.local_addr().map_err(|error| Failure::bind(wanted, &error))?;
        tracing::info!(%address, "listening; content is served when the start is over");
        Ok(Self { config, listener, address, began })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Goes through the start and serves until `shutdown` is there; then lets requests end and closes the store.
    ///
    /// # Errors
    /// The failure of a phase, unless the configuration says that the process stays.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), Failure> {
        let Self { config, listener, address, began } = self;
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
        let (stop, mut stopped) = watch::channel(false);
        let stopped = async move { _ = stopped.wait_for(|stop| *stop).await };
        let mut server =
            tokio::spawn(http::serve(listener, http::router(app), connections(&config), stopped));
        tokio::pin!(shutdown);
        let end = Stop::new();
        let started = {
            let starting = start(&config, &gate, clock, end.clone());
            tokio::pin!(starting);
            tokio::select! {
                started = &mut starting => Some(started),
                () = &mut shutdown => {
                    tracing::info!("told to end in the midst of the start");
                    end.request();
                    // A migration ends between two batches and says so in the ledger. If it takes too long, what was
                    // under way is safe to leave: a lease runs out by itself.
                    match tokio::time::timeout(config.shutdown_grace, starting).await {
                        Ok(Err(failure)) if failure.exit == INTERRUPTED => Some(Err(failure)),
                        Ok(Ok((database, _))) => {
                            database.close().await;
                            None
                        }
                        Ok(Err(_)) | Err(_) => None,
                    }
                }
            }
        };
        let outcome = match started {
            Some(Ok((database, summary))) => {
                tracing::info!(duration_ms = began.elapsed().as_millis(), "serving");
                if config.environment == Environment::Development {
                    banner::print(&config, address, &database, &summary, began.elapsed());
                }
                shutdown.await;
                gate.drain();
                Ok(Some(database))
            }
            Some(Err(failure))
                if config.on_start_failure == OnStartFailure::Stay && failure.exit != INTERRUPTED =>
            {
                tracing::error!(
                    phase = failure.phase.name(),
                    error = failure.message,
                    "the start failed; staying"
                );
                gate.fail(failure.phase.name(), failure.public_text());
                shutdown.await;
                Ok(None)
            }
            Some(Err(failure)) => Err(failure),
            // Told to end before there was anything to end.
            None => Ok(None),
        };
        tracing::info!("ending");
        let _ = stop.send(true);
        let grace = if outcome.is_ok() { config.shutdown_grace } else { Duration::ZERO };
        if tokio::time::timeout(grace, &mut server).await.is_err() {
            server.abort();
        }
        if let Ok(Some(database)) = &outcome {
            database.close().await;
        }
        outcome.map(|_| ())
    }
}

/// As many connections as are wanted, if the system allows them: some sockets are for other things.
fn connections(config: &Config) -> ConnectionSettings {
    let allowed = http::raise_socket_limit().and_then(|most| usize::try_from(most).ok());
    let allowed = allowed.map_or(usize::MAX, |most| most.saturating_sub(OTHER_SOCKETS).max(most / 2));
    let most = config.connections.most.min(allowed);
    if most < config.connections.most {
        tracing::warn!(
            most,
            "the system's limit of open files allows fewer connections than MAX_CONNECTIONS"
        );
    }
    ConnectionSettings { most, ..config.connections }
}

/// The phases from the store to the open gate.
async fn start(
    config: &Config,
    gate: &Arc<Gate>,
    clock: Arc<dyn Clock>,
    end: Stop,
) -> Result<(Database, migrate::Summary), Failure> {
    let database = phase(gate, Phase::Store, store::open(&config.store)).await?;
    let summary = phase(gate, Phase::Migrations, migrate::on_start(config, &database, gate, end)).await;
    let indexed = match summary {
        Ok(summary) => phase(gate, Phase::Indexes, async {
            repository::ensure_all(&database).await.map_err(|error| Failure::indexes(&error))
        })
        .await
        .map(|_| summary),
        Err(failure) => Err(failure),
    };
    match indexed {
        Ok(summary) => {
            let services = services(config, &database, clock);
            let (change_tracker, unseen) = (services.change_tracker.clone(), config.cache_max_age);
            // It ends when the database is closed or, on a standalone server, with the process.
            tokio::spawn(async move { change_tracker.follow(unseen).await });
            gate.open(services);
            Ok((database, summary))
        }
        Err(failure) => {
            database.close().await;
            Err(failure)
        }
    }
}

async fn phase<T>(
    gate: &Gate,
    phase: Phase,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    gate.progress(|progress| {
        *progress = http::StartProgress { phase: phase.name(), ..http::StartProgress::default() }
    });
    let began = Instant::now();
    let outcome = work.instrument(tracing::info_span!("start", phase = phase.name())).await;
    tracing::info!(
        phase = phase.name(),
        duration_ms = began.elapsed().as_millis(),
        ok = outcome.is_ok(),
        "phase over"
    );
    outcome
}

/// Puts repositories and use cases together.
pub fn services(config: &Config, database: &Database, clock: Arc<dyn Clock>) -> Services {
    // Answers are kept that are made of what is read here.
    let database = &database.completing_writes();
    let mut authors = config.author_emails.clone();
    let mut verifiers: Vec<Box<dyn Verifier>> = Vec::new();
    if config.allow_dev_auth {
        authors.push(identity::AUTHOR_EMAIL.to_owned());
        verifiers.push(Box::new(DevelopmentTokens::new(config.admin_email.clone())));
    }
    if !config.google.audiences.is_empty() {
        verifiers.push(Box::new(Google::new(config.google.clone(), Arc::clone(&clock))));
    }
    let verifier = Arc::new(VerifierChain(verifiers));
    let roles = Roles::new(config.admin_email.clone(), authors);
    let authorship = config.authorship;
    let items = Repository::<Section>::new(database);
    let sections = Sections::new(
        items.clone(),
        SectionContents::new(database),
        TreeLock::new(database),
        authorship,
        Arc::clone(&clock),
    );
    Services {
        authenticator: Authenticator::new(verifier, Users::new(database), roles, Arc::clone(&clock)),
        change_tracker: ChangeTracker::new(database),
        health: Health::new(Probe::new(database)),
        navlinks: NavLinks::new(Repository::new(database), authorship, Arc::clone(&clock)),
        pages: Pages::new(Repository::new(database), items.clone(), authorship, Arc::clone(&clock)),
        projects: Projects::new(Repository::new(database), items.clone(), authorship, Arc::clone(&clock)),
        stories: Stories::new(Repository::new(database), items.clone(), authorship, Arc::clone(&clock)),
        trash: Trash::new(
            Repository::new(database),
            Repository::new(database),
            Repository::new(database),
            items,
            sections.clone(),
            clock,
        ),
        sections,
    }
}
