use std::time::{Duration, Instant};

use bson::DateTime;
use bson::oid::ObjectId;
use docstore::{Collection, Database, Store, Transaction};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::lease::HeldLease;
use crate::{Error, Event, Result, Settings};

/// Duration for which a batch is retried after conflicts. The server ends the transaction of a dead client after 60 to 90 seconds;
/// until then its documents are locked.
const RETRY_FOR: Duration = Duration::from_mins(2);
/// The time beyond its limit in which an attempt may reach the next batch boundary.
const GRACE: Duration = Duration::from_secs(2);

/// The process that runs migrations.
#[derive(Debug, Clone)]
pub(crate) struct Runner {
    pub(crate) run_id: String,
    pub(crate) host: String,
    pub(crate) pid: u32,
    /// The namespace of process ids: this boot of this machine, this container.
    pid_namespace: String,
}

impl Runner {
    pub(crate) fn new() -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .ok()
            .or_else(|| std::env::var("HOSTNAME").ok())
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "unknown".into());
        Self {
            run_id: ObjectId::new().to_hex(),
            host,
            pid: std::process::id(),
            pid_namespace: pid_namespace(),
        }
    }

    /// Returns the owner of the lease: unique for each run, with host and process id for the operator.
    pub(crate) fn owner(&self) -> String {
        format!("{}/{}/{}/{}", self.host, self.pid, self.run_id, self.pid_namespace)
    }

    /// Returns true if an owner is known to be dead: its process ran in this namespace and no longer exists.
    pub(crate) fn is_gone(&self, owner: &str) -> bool {
        let mut parts = owner.rsplit('/');
        let (namespace, _run, pid, host) = (parts.next(), parts.next(), parts.next(), parts.next());
        let is_local = host == Some(&self.host)
            && namespace == Some(&self.pid_namespace)
            && self.pid_namespace != UNKNOWN_NAMESPACE;
        is_local && pid.and_then(|pid| pid.parse::<u32>().ok()).is_some_and(|pid| !is_running(pid))
    }
}

/// The namespace on a system without `/proc`.
const UNKNOWN_NAMESPACE: &str = "-";

fn pid_namespace() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let names = std::fs::read_link("/proc/self/ns/pid");
    match (boot, names) {
        (Ok(boot), Ok(names)) => {
            let boot = boot.trim().split('-').next().unwrap_or_default().to_owned();
            let names = names.to_string_lossy().chars().filter(char::is_ascii_digit).collect::<String>();
            format!("{boot}-{names}")
        }
        _ => UNKNOWN_NAMESPACE.to_owned(),
    }
}

fn is_running(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The state follows the name, which may contain anything and ends with the last parenthesis.
    !matches!(stat.rsplit(')').next().map(str::trim_start), Some(rest) if rest.starts_with(['Z', 'X']))
}

/// A run that holds the lease: everything that its writes need.
pub(crate) struct RunSession<'a> {
    pub(crate) db: &'a Database,
    pub(crate) settings: &'a Settings,
    pub(crate) runner: &'a Runner,
    pub(crate) held: &'a HeldLease,
    /// True if the store has transactions.
    pub(crate) transactions: bool,
    /// The limits that may end the run between two batches.
    pub(crate) guard: RunGuard,
    /// True if warnings count as failures.
    pub(crate) strict: bool,
}

/// The limits that may end a run between two batches, and the time of the last progress record.
#[derive(Debug)]
pub(crate) struct RunGuard {
    deadline: Mutex<Option<(Instant, Duration)>>,
    progress: Mutex<Instant>,
}

impl RunGuard {
    pub(crate) fn new() -> Self {
        Self { deadline: Mutex::new(None), progress: Mutex::new(Instant::now()) }
    }

    /// Starts an attempt with this time limit.
    pub(crate) fn begin(&self, limit: Option<Duration>) {
        let until = limit.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)));
        *self.deadline.lock() = until;
        *self.progress.lock() = Instant::now();
    }

    /// Checks before a batch that no stop was requested and the time limit is not exceeded.
    pub(crate) fn check(&self, stop: &CancellationToken) -> Result<()> {
        if stop.is_cancelled() {
            return Err(Error::interrupted());
        }
        match *self.deadline.lock() {
            Some((until, limit)) if Instant::now() >= until => Err(Error::TimeLimit { limit }),
            _ => Ok(()),
        }
    }

    /// Runs an attempt within its time limit. An attempt that does not reach a batch boundary in time is dropped.
    pub(crate) async fn within(&self, work: impl Future<Output = Result<()>>) -> Result<()> {
        let limit = *self.deadline.lock();
        let Some((until, limit)) = limit else { return work.await };
        let left = until.saturating_duration_since(Instant::now()).saturating_add(GRACE);
        match tokio::time::timeout(left, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::TimeLimit { limit }),
        }
    }

    /// Returns true if the next progress record is due; if so, it counts as written.
    pub(crate) fn is_progress_due(&self, every: Duration) -> bool {
        let mut last = self.progress.lock();
        let due = last.elapsed() >= every;
        if due {
            *last = Instant::now();
        }
        due
    }
}

/// Retries a batch after conflicts, with exponential back-off.
pub(crate) struct RetryPolicy {
    began: Instant,
    pause: Duration,
}

impl RetryPolicy {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), pause: Duration::from_millis(5) }
    }

    /// Returns true, after a pause, if the operation should be retried after this error.
    pub(crate) async fn again(&mut self, migration: &str, error: &Error) -> bool {
        if !error.is_transient() || self.began.elapsed() >= RETRY_FOR {
            return false;
        }
        tracing::debug!(migration, %error, "retrying a batch after a conflict");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_millis(500));
        true
    }
}

/// Writes that are committed together.
pub(crate) trait Batch: Sync {
    type Out: Send;
    /// Makes the writes. May run again if the transaction had a conflict.
    fn run(&self, scope: &Scope) -> impl Future<Output = Result<Self::Out>> + Send;
}

/// The destination of a batch: a transaction, or the database itself where the store has no transactions.
pub(crate) enum Scope {
    Direct(Database),
    Transaction(Transaction),
}

impl Scope {
    pub(crate) fn is_transaction(&self) -> bool {
        matches!(self, Self::Transaction(_))
    }
}

impl Store for Scope {
    fn collection(&self, name: &str) -> Collection {
        match self {
            Self::Direct(db) => db.collection(name),
            Self::Transaction(transaction) => transaction.collection(name),
        }
    }
}

impl RunSession<'_> {
    /// Checks before a write that the run may continue: no stop was requested, no time limit is exceeded, and the lease is
    /// held.
    pub(crate) async fn check_limits(&self) -> Result<()> {
        self.guard.check(&self.settings.stop)?;
        self.held.ensure().await
    }

    /// Runs a batch that records the outcome of a run, even if a stop was requested or a time limit is exceeded: in one
    /// transaction where the store has them, with retries.
    pub(crate) async fn record<B: Batch>(&self, migration: &str, batch: &B) -> Result<B::Out> {
        let mut retry = RetryPolicy::new();
        loop {
            self.emit(&Event::Boundary { migration, in_transaction: false });
            self.held.ensure().await?;
            match self.try_once(batch).await {
                Err(error) if retry.again(migration, &error).await => {}
                outcome => return outcome,
            }
        }
    }

    /// Runs a batch in one transaction where the store has them, with retries.
    pub(crate) async fn atomically<B: Batch>(&self, migration: &str, batch: &B) -> Result<B::Out> {
        let mut retry = RetryPolicy::new();
        loop {
            match self.once(migration, batch).await {
                Err(error) if retry.again(migration, &error).await => {}
                outcome => return outcome,
            }
        }
    }

    /// Runs a batch once, after [`RunSession::check_limits`].
    pub(crate) async fn once<B: Batch>(&self, migration: &str, batch: &B) -> Result<B::Out> {
        self.emit(&Event::Boundary { migration, in_transaction: false });
        self.check_limits().await?;
        self.try_once(batch).await
    }

    async fn try_once<B: Batch>(&self, batch: &B) -> Result<B::Out> {
        if !self.transactions {
            return batch.run(&Scope::Direct(self.db.clone())).await;
        }
        let _grace = self.held.renewal_grace();
        let scope = Scope::Transaction(self.db.begin().await?);
        let outcome = batch.run(&scope).await;
        let Scope::Transaction(transaction) = scope else { return outcome };
        match outcome {
            Ok(out) => {
                transaction.commit().await?;
                Ok(out)
            }
            Err(error) => {
                // An abort that fails still ends the transaction.
                let _ = transaction.abort().await;
                Err(error)
            }
        }
    }

    /// Marks a boundary between two writes of a batch. Without a transaction, checks the lease before the next write.
    pub(crate) async fn boundary(&self, migration: &str, scope: &Scope) -> Result<()> {
        let in_transaction = scope.is_transaction();
        self.emit(&Event::Boundary { migration, in_transaction });
        if in_transaction { Ok(()) } else { self.held.ensure().await }
    }

    pub(crate) fn emit(&self, event: &Event<'_>) {
        self.settings.emit(event);
    }

    pub(crate) fn now(&self) -> DateTime {
        (self.settings.clock)()
    }

    pub(crate) fn fence(&self) -> i64 {
        self.held.fence()
    }
}
