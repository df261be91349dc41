use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bson::DateTime;

use crate::{Event, Observer, Stop};

/// Looks up a variable of the configuration.
pub type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;
/// Tells the time.
pub type Clock = Arc<dyn Fn() -> DateTime + Send + Sync>;

/// How a [`crate::Migrator`] is set up.
#[derive(Clone)]
pub struct Settings {
    /// The version of the program, for the ledger.
    pub app_version: String,
    /// The revision that the program was built from, for the ledger, if it knows.
    pub git_revision: Option<String>,
    /// Who runs it, for the ledger: a user of the machine, `start-up`, …
    pub actor: String,
    /// How long the lease of a dead runner lasts. It is renewed three times in that span. 15 seconds.
    pub lease_ttl: Duration,
    /// How long to wait for another runner. 300 seconds.
    pub wait: Duration,
    /// Where variables are looked up. The process's environment.
    pub env: Env,
    /// What time it is. The machine's clock; it decides nothing, it is only written down.
    pub clock: Clock,
    /// Whether names in the ledger of the earlier tool that the program does not know are taken over instead of
    /// refused.
    pub allow_unknown: bool,
    /// The collection of an earlier tool's ledger, in the form of `pymongo_migrate`; read, never written.
    pub import_from: Option<String>,
    /// The contexts that are run, beside what is run everywhere.
    pub contexts: Vec<String>,
    /// For how long one attempt of a migration may run that does not say so itself. No limit.
    pub time_limit: Option<Duration>,
    /// How often progress is written to the log, and traced, at the most. One second.
    pub progress_every: Duration,
    /// Ends a run at the next place between two batches.
    pub stop: Stop,
    /// Whether a migration in [`Mode::Transaction`](crate::Mode::Transaction) is run step by step where the store has
    /// no transactions, instead of being refused.
    pub without_transactions: bool,
    /// How many bytes one migration's journal may have; it fails before it writes more. 1 GiB.
    pub journal_cap_bytes: u64,
    /// How long the journal of an applied migration is kept; for ever if `None`. Then it cannot be taken back by it.
    /// 90 days.
    pub journal_keep: Option<Duration>,
    /// How far the secondaries may be behind before batches wait for them; if `None` they do not. 10 seconds.
    pub replication_lag: Option<Duration>,
    /// When and where backups are taken before migrations run. None are.
    pub backup: Option<crate::backup::BackupSettings>,
    /// Who is told what goes on.
    pub observer: Arc<dyn Observer>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            app_version: String::new(),
            git_revision: None,
            actor: String::new(),
            lease_ttl: Duration::from_secs(15),
            wait: Duration::from_mins(5),
            env: Arc::new(|name| std::env::var(name).ok()),
            clock: Arc::new(DateTime::now),
            allow_unknown: false,
            import_from: None,
            contexts: Vec::new(),
            time_limit: None,
            progress_every: Duration::from_secs(1),
            stop: Stop::new(),
            without_transactions: false,
            journal_cap_bytes: 1 << 30,
            journal_keep: Some(Duration::from_hours(90 * 24)),
            replication_lag: Some(Duration::from_secs(10)),
            backup: None,
            observer: Arc::new(()),
        }
    }
}

impl Settings {
    /// Tells what goes on: to the trace, and to the observer.
    pub(crate) fn emit(&self, event: &Event<'_>) {
        event.trace();
        self.observer.event(event);
    }

    /// A variable that is set to more than blanks, trimmed.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        let value = (self.env)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("app_version", &self.app_version)
            .field("git_revision", &self.git_revision)
            .field("actor", &self.actor)
            .field("lease_ttl", &self.lease_ttl)
            .field("wait", &self.wait)
            .field("allow_unknown", &self.allow_unknown)
            .field("import_from", &self.import_from)
            .field("contexts", &self.contexts)
            .field("time_limit", &self.time_limit)
            .field("progress_every", &self.progress_every)
            .field("stop", &self.stop)
            .field("backup", &self.backup)
            .finish_non_exhaustive()
    }
}
