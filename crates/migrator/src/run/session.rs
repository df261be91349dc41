use std::time::{Duration, Instant};

use async_trait::async_trait;
use bson::DateTime;
use bson::oid::ObjectId;
use docstore::{Collection, Database, Store, Transaction};

use super::guard::RunGuard;
use super::lease::HeldLease;
use crate::{Error, Event, Result, Settings};

/// For how long a batch is begun anew after conflicts. A transaction whose client died goes on holding its documents
/// until the server ends it: after 60 seconds, looked for every 30.
const RETRY_FOR: Duration = Duration::from_mins(2);

/// Who runs, for the ledger.
#[derive(Debug, Clone)]
pub(crate) struct Runner {
    pub(crate) run_id: String,
    pub(crate) host: String,
    pub(crate) pid: u32,
    /// Where process numbers mean what they mean here: this boot of this machine, this container.
    place: String,
}

impl Runner {
    pub(crate) fn new() -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .ok()
            .or_else(|| std::env::var("HOSTNAME").ok())
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "unknown".into());
        Self { run_id: ObjectId::new().to_hex(), host, pid: std::process::id(), place: place() }
    }

    /// Unique for each run, and tells people where to look.
    pub(crate) fn owner(&self) -> String {
        format!("{}/{}/{}/{}", self.host, self.pid, self.run_id, self.place)
    }

    /// Whether the process of a run is known to be gone: it ran here, and there is no such process any more.
    pub(crate) fn is_gone(&self, owner: &str) -> bool {
        let mut parts = owner.rsplit('/');
        let (place, _run, pid, host) = (parts.next(), parts.next(), parts.next(), parts.next());
        let here = host == Some(&self.host) && place == Some(&self.place) && self.place != NOWHERE;
        here && pid.and_then(|pid| pid.parse::<u32>().ok()).is_some_and(|pid| !is_running(pid))
    }
}

/// The place of a machine that does not tell.
const NOWHERE: &str = "-";

fn place() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let names = std::fs::read_link("/proc/self/ns/pid");
    match (boot, names) {
        (Ok(boot), Ok(names)) => {
            let boot = boot.trim().split('-').next().unwrap_or_default().to_owned();
            let names = names.to_string_lossy().chars().filter(char::is_ascii_digit).collect::<String>();
            format!("{boot}-{names}")
        }
        _ => NOWHERE.to_owned(),
    }
}

fn is_running(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // After the name, which may hold anything but ends with the last parenthesis, comes the state.
    !matches!(stat.rsplit(')').next().map(str::trim_start), Some(rest) if rest.starts_with(['Z', 'X']))
}

/// A run that holds the lease.
pub(crate) struct RunSession<'a> {
    pub(crate) db: &'a Database,
    pub(crate) settings: &'a Settings,
    pub(crate) runner: &'a Runner,
    pub(crate) held: &'a HeldLease,
    /// Whether the store has transactions.
    pub(crate) transactions: bool,
    /// What may end it between two batches, other than the lease.
    pub(crate) guard: RunGuard,
    /// Whether warnings are failures.
    pub(crate) strict: bool,
}

/// For how long a batch that met conflicts is begun anew, with longer and longer pauses.
pub(crate) struct RetryPolicy {
    began: Instant,
    pause: Duration,
}

impl RetryPolicy {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), pause: Duration::from_millis(5) }
    }

    /// Whether to begin anew after this error; comes back when it is time.
    pub(crate) async fn again(&mut self, migration: &str, error: &Error) -> bool {
        if !error.is_transient() || self.began.elapsed() >= RETRY_FOR {
            return false;
        }
        tracing::debug!(migration, %error, "a batch met a conflict and is begun anew");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_millis(500));
        true
    }
}

/// Writes that belong together.
#[async_trait]
pub(crate) trait Batch: Sync {
    type Out: Send;
    /// Makes the writes. May be run again if the transaction met a conflict.
    async fn run(&self, scope: &Scope) -> Result<Self::Out>;
}

/// Where a batch writes: in a transaction, or straight into the database where there are none.
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
    /// Says no if the run has to stop before its next write.
    pub(crate) async fn may_go_on(&self) -> Result<()> {
        self.guard.check(&self.settings.stop)?;
        self.held.ensure().await
    }

    /// Runs a batch that says what became of a run, so it is run also when that was told to stop: in one transaction
    /// where there are any, and begun anew after conflicts.
    pub(crate) async fn record<B: Batch>(&self, migration: &str, batch: &B) -> Result<B::Out> {
        let mut retry = RetryPolicy::new();
        loop {
            self.tell(&Event::Boundary { migration, in_transaction: false });
            self.held.ensure().await?;
            match self.try_once(batch).await {
                Err(error) if retry.again(migration, &error).await => {}
                outcome => return outcome,
            }
        }
    }

    /// Runs a batch in one transaction where there are any, and begins it anew after conflicts.
    pub(crate) async fn atomically<B: Batch>(&self, migration: &str, batch: &B) -> Result<B::Out> {
        let mut retry = RetryPolicy::new();
        loop {
            match self.once(migration, batch).await {
                Err(error) if retry.again(migration, &error).await => {}
                outcome => return outcome,
            }
        }
    }

    /// Runs a batch, after checking that the run may go on: in one transaction where there are any.
    pub(crate) async fn once<B: Batch>(&self, migration: &str, batch: &B) -> Result<B::Out> {
        self.tell(&Event::Boundary { migration, in_transaction: false });
        self.may_go_on().await?;
        self.try_once(batch).await
    }

    async fn try_once<B: Batch>(&self, batch: &B) -> Result<B::Out> {
        if !self.transactions {
            return batch.run(&Scope::Direct(self.db.clone())).await;
        }
        let _shield = self.held.shield();
        let scope = Scope::Transaction(self.db.begin().await?);
        let outcome = batch.run(&scope).await;
        let Scope::Transaction(transaction) = scope else { return outcome };
        match outcome {
            Ok(out) => {
                transaction.commit().await?;
                Ok(out)
            }
            Err(error) => {
                // The first error is the one to tell; an abort that fails is an abort all the same.
                let _ = transaction.abort().await;
                Err(error)
            }
        }
    }

    /// A place between two writes of a batch: tells the observer, and checks the lease before the next write where no
    /// transaction does that.
    pub(crate) async fn boundary(&self, migration: &str, scope: &Scope) -> Result<()> {
        let in_transaction = scope.is_transaction();
        self.tell(&Event::Boundary { migration, in_transaction });
        if in_transaction { Ok(()) } else { self.held.ensure().await }
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        self.settings.emit(event);
    }

    pub(crate) fn now(&self) -> DateTime {
        (self.settings.clock)()
    }

    pub(crate) fn fence(&self) -> i64 {
        self.held.fence()
    }
}
