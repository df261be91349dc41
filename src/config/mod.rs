//! The configuration: read through a function, judged as a whole.

/// `.env` files.
mod dotenv;
/// Everything that is wrong, told together.
mod errors;
/// From the variables of MongoDB to a connection string and a database.
mod mongo;
/// Reads variables and keeps what is wrong with them.
mod reader;
/// The table of variables.
mod variables;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

pub use dotenv::{Dotenv, DotenvError};
pub use errors::{ConfigErrors, Problem};
pub use variables::{VARIABLES, Variable};

use reader::Reader;

use crate::domain::Authorship;
use crate::http::{CacheSettings, ConnectionSettings, MiddlewareSettings};
use crate::identity::GoogleSettings;

/// What kind of installation this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// On somebody's own machine.
    Development,
    /// In a test suite.
    Test,
    /// As production, but nobody depends on it.
    Staging,
    /// For real.
    Production,
}

/// What a start does about migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrateOnStart {
    /// Applies what is pending.
    Apply,
    /// Refuses to serve while any are pending.
    Verify,
    /// Waits until another process has applied them.
    Wait,
    /// Does not look.
    Off,
}

/// Before which migrations a backup is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupBefore {
    /// None.
    Never,
    /// Those that could not be taken back exactly otherwise.
    Risky,
    /// All.
    Always,
}

/// What happens when a start fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStartFailure {
    /// The process ends with an exit code.
    Exit,
    /// The process stays alive, not ready, and says why.
    Stay,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Where the data is.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// A MongoDB server.
    Mongo {
        /// The connection string. It may hold a password.
        uri: String,
        /// The database.
        database: String,
        /// How the server names this client in its logs.
        app_name: String,
    },
    /// A file of the embedded store.
    Embedded {
        /// The file.
        path: PathBuf,
    },
}

impl fmt::Debug for StoreConfig {
    /// Leaves the connection string out: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mongo { database, .. } => {
                f.debug_struct("Mongo").field("database", database).finish_non_exhaustive()
            }
            Self::Embedded { path } => f.debug_struct("Embedded").field("path", path).finish(),
        }
    }
}

/// The configuration of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What kind of installation this is.
    pub environment: Environment,
    /// The address to listen on.
    pub host: IpAddr,
    /// The port to listen on; 0 lets the system choose.
    pub port: u16,
    /// Who is the administrator.
    pub admin_email: String,
    /// Who are authors.
    pub author_emails: Vec<String>,
    /// Who may create content.
    pub authorship: Authorship,
    /// Whether the development tokens are good.
    pub allow_dev_auth: bool,
    /// How tokens of Google are verified.
    pub google: GoogleSettings,
    /// Origins, proxies, limits.
    pub middleware: MiddlewareSettings,
    /// Where the data is.
    pub store: StoreConfig,
    /// What a start does about migrations.
    pub migrate_on_start: MigrateOnStart,
    /// How long to wait for another process that migrates.
    pub migrate_wait: Duration,
    /// How long the lease of a process that died while it migrated lasts.
    pub migrate_lease: Duration,
    /// Whether unknown names in the ledger of the original are taken over.
    pub migrate_allow_unknown: bool,
    /// The contexts whose migrations are run, beside those that are run everywhere.
    pub migrate_contexts: Vec<String>,
    /// The folder of backups.
    pub backup_dir: PathBuf,
    /// Before which migrations a backup is taken.
    pub backup_before: BackupBefore,
    /// How many of those are kept.
    pub backup_keep: usize,
    /// The most MiB of documents that one of those may have; 0: no limit.
    pub backup_most_mib: u64,
    /// What happens when a start fails.
    pub on_start_failure: OnStartFailure,
    /// How the log is written.
    pub log_format: LogFormat,
    /// What is logged, in the language of `RUST_LOG`.
    pub log_filter: String,
    /// A request may take so long.
    pub request_timeout: Duration,
    /// What is kept of rendered responses, and what others are told about keeping them.
    pub cache: CacheSettings,
    /// How old a rendered response may be where others can write without being seen.
    pub cache_max_age: Duration,
    /// So many requests are worked on at a time.
    pub max_concurrent: usize,
    /// What clients may take of sockets.
    pub connections: ConnectionSettings,
    /// Requests under way have so long to end when the process is told to.
    pub shutdown_grace: Duration,
}

/// Where a server listens, for those who only want to ask it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// The address.
    pub host: IpAddr,
    /// The port.
    pub port: u16,
}

impl Config {
    /// Reads every variable through `lookup`. One that is set to nothing counts as not set.
    ///
    /// # Errors
    /// Everything that is wrong, told together; never with the value of a variable that may hold a secret.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(&lookup);
        let environment = environment(&mut reader);
        let production = environment == Environment::Production;
        let Listen { host, port } = listen(&mut reader, environment);
        let config = Self {
            environment,
            host,
            port,
            admin_email: reader.required_email("ADMIN_EMAIL"),
            author_emails: reader.emails("AUTHOR_EMAILS"),
            authorship: if reader.truth("OPEN_AUTHORSHIP", false) {
                Authorship::Open
            } else {
                Authorship::Restricted
            },
            allow_dev_auth: reader.truth("ALLOW_DEV_AUTH", false),
            google: GoogleSettings {
                base: reader.base_address("GOOGLE_API_BASE", "https://www.googleapis.com"),
                audiences: reader.list("GOOGLE_CLIENT_ID"),
                deadline: GoogleSettings::DEADLINE,
            },
            middleware: MiddlewareSettings {
                extra_origins: reader.list("CORS_EXTRA_ORIGINS"),
                trusted_proxies: reader.networks("TRUSTED_PROXIES"),
                hsts: production,
                unlimited: !reader.truth("RATE_LIMITS", true),
            },
            store: mongo::store(&mut reader, production),
            migrate_on_start: reader.choice(
                "MIGRATE_ON_START",
                MigrateOnStart::Apply,
                &[
                    ("apply", MigrateOnStart::Apply),
                    ("verify", MigrateOnStart::Verify),
                    ("wait", MigrateOnStart::Wait),
                    ("off", MigrateOnStart::Off),
                ],
            ),
            migrate_wait: reader.seconds("MIGRATE_WAIT_SECONDS", 300, 0),
            migrate_lease: reader.seconds("MIGRATE_LEASE_SECONDS", 15, 1),
            migrate_allow_unknown: reader.truth("MIGRATE_ALLOW_UNKNOWN", false),
            migrate_contexts: reader.list("MIGRATE_CONTEXTS"),
            backup_dir: reader.text("BACKUP_DIR").unwrap_or_else(|| "./backups".to_owned()).into(),
            backup_before: reader.choice(
                "MIGRATE_BACKUP",
                BackupBefore::Risky,
                &[
                    ("never", BackupBefore::Never),
                    ("risky", BackupBefore::Risky),
                    ("always", BackupBefore::Always),
                ],
            ),
            backup_keep: reader.count("BACKUP_KEEP", 10, 1),
            backup_most_mib: reader.count("BACKUP_MAX_MIB", 4096, 0),
            on_start_failure: reader.choice(
                "ON_START_FAILURE",
                OnStartFailure::Exit,
                &[("exit", OnStartFailure::Exit), ("stay", OnStartFailure::Stay)],
            ),
            log_format: reader.choice(
                "LOG_FORMAT",
                if production { LogFormat::Json } else { LogFormat::Text },
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            ),
            log_filter: reader.log_filter("RUST_LOG", "info"),
            request_timeout: reader.seconds("REQUEST_TIMEOUT_SECONDS", 30, 1),
            cache: CacheSettings {
                max_bytes: reader.bytes("CACHE_MAX_BYTES", 128 * 1024 * 1024),
                shared_age: reader.seconds("CACHE_S_MAXAGE", 0, 0),
                stale_while_revalidate: reader.seconds("CACHE_STALE_WHILE_REVALIDATE", 0, 0),
            },
            cache_max_age: reader.seconds("CACHE_MAX_AGE", 30, 1),
            max_concurrent: reader.count("MAX_CONCURRENT_REQUESTS", 256, 1),
            connections: ConnectionSettings {
                most: reader.count("MAX_CONNECTIONS", 16_384, 1),
                idle: reader.seconds("CONNECTION_IDLE_SECONDS", 75, 1),
            },
            shutdown_grace: reader.seconds("SHUTDOWN_GRACE_SECONDS", 10, 0),
        };
        if production && config.google.audiences.is_empty() {
            reader.wrong(
                "GOOGLE_CLIENT_ID",
                "is required in production and not set: without it nobody can sign in",
            );
        }
        if production && config.allow_dev_auth {
            reader.wrong(
                "ALLOW_DEV_AUTH",
                "anybody could sign in as the administrator: it cannot be true in production",
            );
        }
        reader.finish(config)
    }

    /// Reads only where the server listens.
    pub fn read_listen(lookup: impl Fn(&str) -> Option<String>) -> Result<Listen, ConfigErrors> {
        let mut reader = Reader::new(&lookup);
        let environment = environment(&mut reader);
        let listen = listen(&mut reader, environment);
        reader.finish(listen)
    }
}

fn environment(reader: &mut Reader<'_>) -> Environment {
    reader.choice(
        "ENVIRONMENT",
        Environment::Development,
        &[
            ("development", Environment::Development),
            ("test", Environment::Test),
            ("staging", Environment::Staging),
            ("production", Environment::Production),
        ],
    )
}

fn listen(reader: &mut Reader<'_>, environment: Environment) -> Listen {
    let host = match environment {
        Environment::Development | Environment::Test => Ipv4Addr::LOCALHOST,
        Environment::Staging | Environment::Production => Ipv4Addr::UNSPECIFIED,
    };
    Listen { host: reader.address("HOST", host.into()), port: reader.port("PORT", 5001) }
}

#[cfg(test)]
mod tests;
