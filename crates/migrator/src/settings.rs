use std::sync::Arc;
use std::time::Duration;

use bson::DateTime;

use tokio_util::sync::CancellationToken;

use crate::{Event, Observer};

/// Looks up a variable of the configuration.
pub type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;
/// Returns the current time.
pub type Clock = Arc<dyn Fn() -> DateTime + Send + Sync>;

/// The settings of a [`crate::Migrator`]. Defaults are given in parentheses.
#[derive(Clone)]
pub struct Settings {
    /// The version of the program, for the ledger.
    pub app_version: String,
    /// The revision that the program was built from, for the ledger, if known.
    pub git_revision: Option<String>,
    /// The user or component that runs it, for the ledger: a user of the machine, `start-up`, …
    pub actor: String,
    /// The time until the lease of a dead runner expires (15 s). A live runner renews it three times in that span.
    pub lease_ttl: Duration,
    /// The time to wait for another runner (300 s).
    pub wait: Duration,
    /// The source of variables (the environment of the process).
    pub env: Env,
    /// The source of recorded times (the clock of the machine). No decision depends on it.
    pub clock: Clock,
    /// Imports unknown names in the ledger of the earlier tool instead of refusing them (no).
    pub allow_unknown: bool,
    /// The collection with the ledger of `pymongo_migrate` (none). It is only read.
    pub import_from: Option<String>,
    /// The contexts to run, in addition to migrations without contexts (none).
    pub contexts: Vec<String>,
    /// The time limit of one attempt of a migration that declares none (no limit).
    pub time_limit: Option<Duration>,
    /// The minimum interval between two progress records in the log and the trace (1 s).
    pub progress_every: Duration,
    /// Stops a run at the next boundary between two batches.
    pub stop: CancellationToken,
    /// Runs a migration in [`Mode::Transaction`](crate::Mode::Transaction) step by step on a store without
    /// transactions, instead of refusing it (no).
    pub without_transactions: bool,
    /// The limit for the journal of one migration, in bytes (1 GiB). The migration fails before it exceeds it.
    pub journal_cap_bytes: u64,
    /// The retention period of the journal of an applied migration (90 days); unlimited if `None`. Without its journal a
    /// migration cannot be rolled back.
    pub journal_keep: Option<Duration>,
    /// The number of documents in the first batch of a step (1000). Later batches are sized by the time that one takes.
    pub first_batch: u64,
    /// The replication lag above which batches wait for the secondaries (10 s); they never wait if `None`.
    pub replication_lag: Option<Duration>,
    /// The backups that are taken before migrations run (none).
    pub backup: Option<crate::backup::BackupSettings>,
    /// The receiver of events (none).
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
            stop: CancellationToken::new(),
            without_transactions: false,
            journal_cap_bytes: 1 << 30,
            journal_keep: Some(Duration::from_hours(90 * 24)),
            first_batch: 1000,
            replication_lag: Some(Duration::from_secs(10)),
            backup: None,
            observer: Arc::new(()),
        }
    }
}

impl Settings {
    /// Sends an event to the trace and to the observer.
    pub(crate) fn emit(&self, event: &Event<'_>) {
        event.trace();
        self.observer.event(event);
    }

    /// Returns the trimmed value of a variable; `None` if it is unset or blank.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        let value = (self.env)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }
}
