//! The configuration: every variable, parsed and validated together.

/// `.env` files.
mod dotenv;
/// The fuzz target.
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
/// The place of pictures and videos.
mod media;
/// The store, from the variables of MongoDB and `DATA_DIR`.
mod mongo;
/// Parses variables and collects errors.
mod reader;
/// The table of variables.
mod variables;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

pub use dotenv::{Dotenv, DotenvError};
pub use reader::{ConfigErrors, InvalidVariable};
pub use variables::{VARIABLES, Variable};

use clap::ValueEnum;
use reader::Reader;
use variables as var;

use crate::domain::{Authorship, Commenting};
use crate::http::{CacheSettings, ConnectionSettings, MiddlewareSettings};
use crate::identity::{GoogleSettings, WorkerToken};
use crate::media::StorageSettings;
use crate::media::video::FfmpegSettings;

/// The time for which a server that shuts down asks clients to close their connections before it refuses new ones.
const CLOSE_NOTICE: Duration = Duration::from_secs(1);

/// The rule for new comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Comments {
    /// They are visible at once.
    Open,
    /// An administrator approves them.
    Moderated,
    /// There are none.
    Closed,
}

impl From<Comments> for Commenting {
    fn from(comments: Comments) -> Self {
        match comments {
            Comments::Open => Self::Open,
            Comments::Moderated => Self::Moderated,
            Comments::Closed => Self::Closed,
        }
    }
}

/// The kind of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// A developer's machine.
    Development,
    /// A test suite.
    Test,
    /// Like production, without users.
    Staging,
    /// The real service.
    Production,
}

/// The migrations phase of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MigrateOnStart {
    /// Apply pending migrations.
    Apply,
    /// Refuse to serve while migrations are pending.
    Verify,
    /// Wait until another process has applied them.
    Wait,
    /// Skip the phase.
    Off,
}

/// The migrations that take a backup first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BackupBefore {
    /// No migration.
    Never,
    /// Migrations that cannot be rolled back exactly.
    Risky,
    /// Every migration.
    Always,
}

/// The reaction to a failed start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnStartFailure {
    /// Exit with a code.
    Exit,
    /// Stay alive, not ready, and report the reason.
    Stay,
}

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// JSON objects.
    Json,
}

/// The check of the embedded store before it is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StoreCheck {
    /// Only a store that a killed process left.
    Off,
    /// Its structure.
    Quick,
    /// Its structure, every document and every index.
    Full,
}

/// The store.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// A MongoDB server.
    Mongo {
        /// The connection string, which may hold a password.
        uri: String,
        /// The name of the database.
        database: String,
        /// The name of this client in the server's logs.
        app_name: String,
    },
    /// The embedded store.
    Embedded {
        /// The path of its file.
        path: PathBuf,
        /// Never writes it.
        read_only: bool,
        /// The check before it is served.
        check: StoreCheck,
    },
}

impl StoreConfig {
    /// Reports whether the store must not be written.
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Embedded { read_only: true, .. })
    }
}

impl fmt::Debug for StoreConfig {
    /// Omits the connection string, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mongo { database, .. } => {
                f.debug_struct("Mongo").field("database", database).finish_non_exhaustive()
            }
            Self::Embedded { path, read_only, check } => f
                .debug_struct("Embedded")
                .field("path", path)
                .field("read_only", read_only)
                .field("check", check)
                .finish(),
        }
    }
}

/// The configuration of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The kind of this installation.
    pub environment: Environment,
    /// The address to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The e-mail address of the administrator.
    pub admin_email: String,
    /// The e-mail addresses of authors.
    pub author_emails: Vec<String>,
    /// The rule for creating content.
    pub authorship: Authorship,
    /// The rule for new comments.
    pub comments: Comments,
    /// Accepts development tokens.
    pub allow_dev_auth: bool,
    /// The verification of Google tokens.
    pub google: GoogleSettings,
    /// Origins, proxies and rate limits.
    pub middleware: MiddlewareSettings,
    /// The store.
    pub store: StoreConfig,
    /// The place of pictures and videos.
    pub media: StorageSettings,
    /// The processing of videos.
    pub ffmpeg: FfmpegSettings,
    /// The token of a program that works on videos.
    pub video_worker_token: Option<WorkerToken>,
    /// The migrations phase of a start.
    pub migrate_on_start: MigrateOnStart,
    /// The time to wait for another process that migrates.
    pub migrate_wait: Duration,
    /// The time until the migration lock of a dead process expires.
    pub migrate_lease: Duration,
    /// Imports unknown names from the original's ledger.
    pub migrate_allow_unknown: bool,
    /// The contexts whose migrations also run.
    pub migrate_contexts: Vec<String>,
    /// The folder of backups.
    pub backup_dir: PathBuf,
    /// The migrations that take a backup first.
    pub backup_before: BackupBefore,
    /// The number of those backups to keep.
    pub backup_keep: usize,
    /// The size limit of such a backup, in MiB of documents; 0 for no limit.
    pub backup_max_mib: u64,
    /// The reaction to a failed start.
    pub on_start_failure: OnStartFailure,
    /// The format of the log.
    pub log_format: LogFormat,
    /// The log filter, in the syntax of `RUST_LOG`.
    pub log_filter: String,
    /// The time limit of a request.
    pub request_timeout: Duration,
    /// The response cache, and the `Cache-Control` header.
    pub cache: CacheSettings,
    /// The age at which cached responses expire where other writers cannot be seen.
    pub cache_max_age: Duration,
    /// The number of threads that serve requests; `None` for one for each processor.
    pub worker_threads: Option<usize>,
    /// The size limit of an uploaded video in bytes.
    pub max_video_bytes: u64,
    /// The limit of concurrent requests.
    pub max_concurrent: usize,
    /// The limits of connections.
    pub connections: ConnectionSettings,
    /// The time of normal service after a signal to stop.
    pub shutdown_delay: Duration,
    /// The time that running requests get after that.
    pub shutdown_grace: Duration,
}

impl Config {
    /// Reads every variable through `lookup`. A blank variable counts as not set.
    ///
    /// # Errors
    ///
    /// Returns all invalid variables at once, without the values, which may be secret.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let reader = &mut Reader::new(&lookup);
        let environment = reader.choice(var::ENVIRONMENT);
        let is_production = environment == Environment::Production;
        let listen = listen(reader, environment);
        let shutdown_delay = reader.seconds(
            if is_production { var::SHUTDOWN_DELAY_SECONDS.or("5") } else { var::SHUTDOWN_DELAY_SECONDS },
            0,
        );
        let config = Self {
            environment,
            listen,
            admin_email: reader.required_email(var::ADMIN_EMAIL),
            author_emails: reader.emails(var::AUTHOR_EMAILS),
            authorship: if reader.boolean(var::OPEN_AUTHORSHIP) {
                Authorship::Open
            } else {
                Authorship::Restricted
            },
            comments: reader.choice(var::COMMENTS),
            allow_dev_auth: reader.dev_auth(var::ALLOW_DEV_AUTH, listen.ip(), is_production),
            google: GoogleSettings {
                base: reader.base_url(var::GOOGLE_API_BASE),
                audiences: reader.list(var::GOOGLE_CLIENT_ID),
                deadline: GoogleSettings::DEADLINE,
            },
            middleware: MiddlewareSettings {
                extra_origins: reader.origins(var::CORS_EXTRA_ORIGINS),
                local_origins: matches!(environment, Environment::Development | Environment::Test),
                trusted_proxies: reader.networks(var::TRUSTED_PROXIES),
                hsts: is_production,
                unlimited: !reader.boolean(var::RATE_LIMITS),
                log_requests: reader.boolean(var::LOG_REQUESTS),
            },
            store: mongo::store(reader, is_production),
            media: media::storage(reader),
            ffmpeg: FfmpegSettings {
                enabled: reader.boolean(var::VIDEO_PROCESSING),
                program: reader.text(var::FFMPEG).into(),
                timeout: reader.seconds(var::VIDEO_JOB_SECONDS, 1),
            },
            video_worker_token: video_worker_token(reader),
            migrate_on_start: reader.choice(var::MIGRATE_ON_START),
            migrate_wait: reader.seconds(var::MIGRATE_WAIT_SECONDS, 0),
            migrate_lease: reader.seconds(var::MIGRATE_LEASE_SECONDS, 1),
            migrate_allow_unknown: reader.boolean(var::MIGRATE_ALLOW_UNKNOWN),
            migrate_contexts: reader.list(var::MIGRATE_CONTEXTS),
            backup_dir: reader.text(var::BACKUP_DIR).into(),
            backup_before: reader.choice(var::MIGRATE_BACKUP),
            backup_keep: reader.count(var::BACKUP_KEEP, 1, usize::MAX),
            backup_max_mib: reader.count(var::BACKUP_MAX_MIB, 0, u64::MAX),
            on_start_failure: reader.choice(var::ON_START_FAILURE),
            log_format: log_format(reader, environment),
            log_filter: reader.log_filter(var::RUST_LOG),
            request_timeout: reader.seconds(var::REQUEST_TIMEOUT_SECONDS, 1),
            cache: CacheSettings {
                max_bytes: NonZeroU64::new(reader.bytes(var::CACHE_MAX_BYTES)),
                in_flight_bytes: reader.response_bytes(var::RESPONSES_MAX_BYTES),
                shared_age: reader.seconds(var::CACHE_S_MAXAGE, 0),
                stale_while_revalidate: reader.seconds(var::CACHE_STALE_WHILE_REVALIDATE, 0),
            },
            cache_max_age: reader.seconds(var::CACHE_MAX_AGE, 1),
            worker_threads: reader.worker_threads(var::TOKIO_WORKER_THREADS),
            max_video_bytes: reader.count(var::MAX_VIDEO_BYTES, 1, u64::from(u32::MAX)),
            max_concurrent: reader.count(var::MAX_CONCURRENT_REQUESTS, 1, usize::MAX),
            connections: ConnectionSettings {
                max_connections: reader.count(var::MAX_CONNECTIONS, 1, usize::MAX),
                idle_timeout: reader.seconds(var::CONNECTION_IDLE_SECONDS, 1),
                close_notice: shutdown_delay.min(CLOSE_NOTICE),
            },
            shutdown_delay,
            shutdown_grace: reader.seconds(var::SHUTDOWN_GRACE_SECONDS, 0),
        };
        if is_production && config.google.audiences.is_empty() {
            reader.error(var::GOOGLE_CLIENT_ID, "is required in production: without it no one can sign in");
        }
        reader.finish(config)
    }

    /// Reads only the number of threads that serve requests. [`Config::read`] reports an invalid one.
    pub fn read_worker_threads(lookup: impl Fn(&str) -> Option<String>) -> Option<usize> {
        Reader::new(&lookup).worker_threads(var::TOKIO_WORKER_THREADS)
    }

    /// Reads only the format of the log. [`Config::read`] reports an invalid one.
    pub fn read_log_format(lookup: impl Fn(&str) -> Option<String>) -> LogFormat {
        let reader = &mut Reader::new(&lookup);
        let environment = reader.choice(var::ENVIRONMENT);
        log_format(reader, environment)
    }

    /// Reads only the address that the server listens on.
    ///
    /// # Errors
    ///
    /// Returns the invalid variables among those of the address.
    pub fn read_listen(lookup: impl Fn(&str) -> Option<String>) -> Result<SocketAddr, ConfigErrors> {
        let reader = &mut Reader::new(&lookup);
        let environment = reader.choice(var::ENVIRONMENT);
        let listen = listen(reader, environment);
        reader.finish(listen)
    }
}

fn log_format(reader: &mut Reader<'_>, environment: Environment) -> LogFormat {
    let is_production = environment == Environment::Production;
    reader.choice(if is_production { var::LOG_FORMAT.or("json") } else { var::LOG_FORMAT })
}

fn video_worker_token(reader: &mut Reader<'_>) -> Option<WorkerToken> {
    let token = WorkerToken::new(&reader.given(var::VIDEO_WORKER_TOKEN)?);
    if token.is_none() {
        let message = format!("must be one word of at least {} ASCII characters", WorkerToken::MIN_LENGTH);
        reader.error(var::VIDEO_WORKER_TOKEN, message);
    }
    token
}

fn listen(reader: &mut Reader<'_>, environment: Environment) -> SocketAddr {
    let host = match environment {
        Environment::Development | Environment::Test => var::HOST,
        Environment::Staging | Environment::Production => var::HOST.or("0.0.0.0"),
    };
    SocketAddr::new(reader.address(host), reader.port(var::PORT))
}

#[cfg(test)]
mod tests;
