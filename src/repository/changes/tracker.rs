//! Decides whether the result of earlier reads is still valid.
//!
//! Writes of this process are recorded at once, since every write goes through the database's collection versions. Those
//! of other processes are learned in one of three ways:
//!
//! | Store | Source | Delay |
//! |---|---|---|
//! | replica set, sharded cluster | its change stream | the time of a majority write, usually some milliseconds |
//! | embedded | SQLite's `data_version`, which changes when another process commits | `POLL_INTERVAL` |
//! | standalone server | the version numbers that every process increments after its writes | `POLL_INTERVAL` and two small operations; writers that increment nothing are not seen, so results have a maximum age |

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use docstore::{Database, Problem, ReadSet, StalenessBound};
use tokio::sync::watch;

use crate::repository::Error;
use crate::repository::entities::user;

/// The interval at which the store is polled for writes of other processes.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(300);
/// The delay between attempts.
pub(super) const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Tracks which writes invalidate earlier reads. Cheap to clone.
#[derive(Clone)]
pub struct ChangeTracker {
    pub(super) database: Database,
    state: Arc<State>,
}

struct State {
    started: Instant,
    /// The age in milliseconds from which results are stale whatever is known; 0 for none.
    max_age: AtomicU64,
    /// Time of the last look at other processes' writes, in milliseconds after `started`.
    last_seen: AtomicU64,
    /// Wakes waiters when the store goes away.
    away: watch::Sender<bool>,
    /// The value of `away`, readable without a lock.
    is_away: AtomicBool,
}

impl ChangeTracker {
    /// Creates a tracker of reads from this database. Writes of other processes are seen while
    /// [`ChangeTracker::follow`] runs.
    pub fn new(database: &Database) -> Self {
        let state = State {
            started: Instant::now(),
            max_age: AtomicU64::new(0),
            last_seen: AtomicU64::new(0),
            away: watch::Sender::new(false),
            is_away: AtomicBool::new(false),
        };
        Self { database: database.clone(), state: Arc::new(state) }
    }

    /// Returns the read set of a result that reads no collection: every write invalidates it.
    pub fn everything(&self) -> ReadSet {
        self.database.versions().everything()
    }

    /// Reports whether a result of these reads may be cached for other requests.
    pub fn may_keep(reads: &ReadSet) -> bool {
        // Users are written at every request with a token, so their changes are not propagated.
        reads.collections().all(|collection| collection != user::COLLECTION)
    }

    /// Reports whether a result of these reads, made at that time, is still valid.
    pub fn holds(&self, reads: &ReadSet, made: Instant) -> bool {
        let max_age = self.state.max_age.load(Ordering::Relaxed);
        reads.are_current() && (max_age == 0 || made.elapsed() < Duration::from_millis(max_age))
    }

    /// Returns a lasting problem of the store, as far as it is found within `deadline`.
    pub async fn problem(&self, deadline: Duration) -> Option<Problem> {
        tokio::time::timeout(deadline, self.database.problem()).await.unwrap_or_default()
    }

    /// Pings the store and waits for at most `deadline`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store did not answer in time.
    pub async fn ping(&self, deadline: Duration) -> Result<(), Error> {
        if let Ok(outcome) = tokio::time::timeout(deadline, self.database.ping()).await {
            return Ok(outcome?);
        }
        Err(Error::unavailable(format!("no answer within {} ms", deadline.as_millis())))
    }

    /// Reports whether the store fails to answer pings.
    pub fn store_is_away(&self) -> bool {
        self.state.is_away.load(Ordering::Relaxed)
    }

    /// Waits until the store is away.
    pub async fn until_away(&self) {
        // This cannot fail: `self` owns the sender.
        let _ = self.state.away.subscribe().wait_for(|away| *away).await;
    }

    /// Returns the time since the last look at other processes' writes.
    pub fn lag(&self) -> Duration {
        let last_seen = Duration::from_millis(self.state.last_seen.load(Ordering::Relaxed));
        self.state.started.elapsed().saturating_sub(last_seen)
    }

    /// Returns the staleness bound that [`ChangeTracker::holds`] applies.
    pub(super) fn staleness_bound(&self) -> StalenessBound {
        match self.state.max_age.load(Ordering::Relaxed) {
            0 => StalenessBound::Zero,
            age => StalenessBound::AtMost(Duration::from_millis(age)),
        }
    }

    pub(super) fn set_max_age(&self, age: Duration) {
        self.state.max_age.store(milliseconds(age), Ordering::Relaxed);
    }

    /// Records that writes before `at` were seen.
    pub(super) fn set_last_seen(&self, at: Instant) {
        let after_start = at.saturating_duration_since(self.state.started);
        self.state.last_seen.store(milliseconds(after_start), Ordering::Relaxed);
    }

    /// Records whether the store is away; reports whether that changed.
    pub(super) fn set_away(&self, away: bool) -> bool {
        self.state.is_away.store(away, Ordering::Relaxed);
        self.state.away.send_if_modified(|was| std::mem::replace(was, away) != away)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
