/// A variable that the program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What holds if it is not set; empty if nothing does.
    pub default: &'static str,
    /// What it is for.
    pub about: &'static str,
}

const fn variable(name: &'static str, default: &'static str, about: &'static str) -> Variable {
    Variable { name, default, about }
}

/// Every variable that the program reads. `.env.example` says the same.
pub const VARIABLES: &[Variable] = &[
    variable("ADMIN_EMAIL", "", "E-mail address of the administrator; required."),
    variable("AUTHOR_EMAILS", "", "E-mail addresses of authors, separated by commas."),
    variable(
        "OPEN_AUTHORSHIP",
        "false",
        "Let everybody who is signed in create content, as the original did.",
    ),
    variable(
        "ALLOW_DEV_AUTH",
        "false",
        "Accept the tokens dev-mock-admin, dev-mock-author and dev-mock-commenter; refused in production.",
    ),
    variable(
        "GOOGLE_CLIENT_ID",
        "",
        "Applications whose Google tokens are accepted, separated by commas; required in production. Without it none are.",
    ),
    variable("GOOGLE_API_BASE", "https://www.googleapis.com", "Where Google is asked about tokens."),
    variable(
        "CORS_EXTRA_ORIGINS",
        "",
        "Origins beside those of the frontend whose scripts may read answers, separated by commas.",
    ),
    variable(
        "TRUSTED_PROXIES",
        "",
        "Addresses or networks of proxies whose X-Forwarded-For is believed, separated by commas.",
    ),
    variable(
        "RATE_LIMITS",
        "on",
        "Count what a client asks, and answer 429 beyond the limits; off where a proxy in front does so.",
    ),
    variable("ENVIRONMENT", "development", "development, test, staging or production."),
    variable("HOST", "127.0.0.1", "Address to listen on; 0.0.0.0 is the default in staging and production."),
    variable("PORT", "5001", "Port to listen on; 0 lets the system choose."),
    variable(
        "DATA_DIR",
        "./data",
        "Folder of the embedded store, used without MONGO_URI; has to be set in production.",
    ),
    variable("MONGO_URI", "", "Connection string of MongoDB; without it the embedded store is used."),
    variable(
        "MONGO_DB_NAME",
        "ghostmonk",
        "Database, unless the path of MONGO_URI names one; both have to agree.",
    ),
    variable("MONGO_USER", "", "With the next three: an Atlas cluster, in place of MONGO_URI."),
    variable("MONGO_PASSWORD", "", "Password of MONGO_USER, as it is; it is escaped here."),
    variable("MONGO_CLUSTER", "", "First part of the cluster's name."),
    variable("MONGO_HOST", "", "Rest of the cluster's name."),
    variable("MONGO_APP_NAME", "field-notes", "Name of this client in the logs of MongoDB."),
    variable(
        "MIGRATE_ON_START",
        "apply",
        "apply, verify (refuse to serve while any are pending), wait (for another process) or off.",
    ),
    variable("MIGRATE_WAIT_SECONDS", "300", "How long to wait for another process that migrates."),
    variable(
        "MIGRATE_LEASE_SECONDS",
        "15",
        "How long the lock of a process that died while it migrated lasts.",
    ),
    variable(
        "MIGRATE_ALLOW_UNKNOWN",
        "false",
        "Take over names in the ledger of the original that this program does not know.",
    ),
    variable(
        "MIGRATE_CONTEXTS",
        "",
        "Contexts whose migrations are run beside those that are run everywhere, separated by commas.",
    ),
    variable("BACKUP_DIR", "./backups", "Folder of backups."),
    variable(
        "MIGRATE_BACKUP",
        "risky",
        "Before which migrations a backup is taken: never, risky (those that could not be taken back exactly otherwise) or always.",
    ),
    variable("BACKUP_KEEP", "10", "How many of those backups are kept."),
    variable(
        "BACKUP_MAX_MIB",
        "4096",
        "The most MiB of documents that one of those backups may have, else the migration does not run; 0 for no limit.",
    ),
    variable("ON_START_FAILURE", "exit", "exit, or stay: alive, not ready, and saying why."),
    variable("LOG_FORMAT", "text", "text or json; json is the default in production."),
    variable("RUST_LOG", "info", "What is logged, such as warn,field_notes=debug."),
    variable("REQUEST_TIMEOUT_SECONDS", "30", "How long a request may take."),
    variable("CACHE_MAX_BYTES", "134217728", "Bytes of rendered responses that are kept; 0 keeps none."),
    variable(
        "CACHE_MAX_AGE",
        "30",
        "Seconds after which a rendered response is made anew where others can write unseen: on a standalone MongoDB server.",
    ),
    variable(
        "CACHE_S_MAXAGE",
        "0",
        "Seconds for which shared caches may keep a public answer without asking.",
    ),
    variable(
        "CACHE_STALE_WHILE_REVALIDATE",
        "0",
        "Seconds for which caches may give a public answer out while they ask.",
    ),
    variable(
        "MAX_CONCURRENT_REQUESTS",
        "256",
        "Requests that are worked on at a time; more get 503. What is rendered is not counted.",
    ),
    variable(
        "MAX_CONNECTIONS",
        "16384",
        "Connections at a time; more wait. Fewer if the system's limit of open files is lower.",
    ),
    variable(
        "CONNECTION_IDLE_SECONDS",
        "75",
        "How long a connection may wait for a request, and an answer for a client that does not take it.",
    ),
    variable(
        "SHUTDOWN_GRACE_SECONDS",
        "10",
        "How long requests under way have when the process is told to end.",
    ),
];
