//! Whether what was made of reads still holds, whoever wrote.
//!
//! Writes of this process are known at once: every write goes through the database's revisions. Those of others are
//! learned in one of three ways, by what the store can do:
//!
//! | Store | Others' writes are learned by | At the latest after |
//! |---|---|---|
//! | replica set, sharded cluster | its change stream | the time that a majority takes, usually some milliseconds |
//! | embedded | the number that SQLite changes when another process commits | `POLL` |
//! | standalone server | notes that every process leaves after its writes, read at intervals | `POLL` and the time that two small operations take; whoever leaves no notes is not seen, hence the age |

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use docstore::{Database, ReadSet, StalenessBound};
use tokio::sync::watch;

use crate::repository::entities::user;

/// How often the store is asked what others wrote.
pub(super) const POLL: Duration = Duration::from_millis(300);
/// Between attempts.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// Whether what was made of reads still holds. Cheap to clone.
#[derive(Clone)]
pub struct ChangeTracker {
    pub(super) database: Database,
    pub(super) state: Arc<State>,
}

pub(super) struct State {
    pub(super) began: Instant,
    /// Milliseconds after which nothing is fresh any more, whatever is known; 0 for never.
    pub(super) max_age: AtomicU64,
    /// When it was last learned what others wrote: milliseconds after `began`.
    pub(super) last_seen: AtomicU64,
    /// For those who wait for it, and, without a lock, for those who only look.
    pub(super) away: watch::Sender<bool>,
    pub(super) is_away: AtomicBool,
}

impl ChangeTracker {
    /// Of what is read from this database. Others' writes are not learned before [`ChangeTracker::follow`] runs.
    pub fn new(database: &Database) -> Self {
        let state = State {
            began: Instant::now(),
            max_age: AtomicU64::new(0),
            last_seen: AtomicU64::new(0),
            away: watch::Sender::new(false),
            is_away: AtomicBool::new(false),
        };
        Self { database: database.clone(), state: Arc::new(state) }
    }

    /// What was read of something that reads nothing: it is made anew after every write.
    pub fn everything(&self) -> ReadSet {
        self.database.versions().everything()
    }

    /// Whether what was made of these reads may be kept for others.
    pub fn may_keep(reads: &ReadSet) -> bool {
        // Users are written at every request with a token, so that others are not told of it.
        reads.collections().all(|collection| collection != user::COLLECTION)
    }

    /// Whether something that was made of these reads, at that time, still holds.
    pub fn holds(&self, reads: &ReadSet, made: Instant) -> bool {
        let max_age = self.state.max_age.load(Ordering::Relaxed);
        reads.are_current() && (max_age == 0 || made.elapsed() < Duration::from_millis(max_age))
    }

    /// Whether the store gives no sign of life.
    pub fn store_is_away(&self) -> bool {
        self.state.is_away.load(Ordering::Relaxed)
    }

    /// Waits until the store gives no sign of life.
    pub async fn until_away(&self) {
        // The sender is in `self`.
        let _ = self.state.away.subscribe().wait_for(|away| *away).await;
    }

    /// How long ago it was last learned what others wrote, or that they wrote nothing, as far as the store tells.
    pub fn lag(&self) -> Duration {
        let last_seen = Duration::from_millis(self.state.last_seen.load(Ordering::Relaxed));
        self.state.began.elapsed().saturating_sub(last_seen)
    }

    /// As [`ChangeTracker::holds`] has it.
    pub(super) fn staleness_bound(&self) -> StalenessBound {
        match self.state.max_age.load(Ordering::Relaxed) {
            0 => StalenessBound::Zero,
            age => StalenessBound::AtMost(Duration::from_millis(age)),
        }
    }

    pub(super) fn set_max_age(&self, age: Duration) {
        let milliseconds = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        self.state.max_age.store(milliseconds, Ordering::Relaxed);
    }

    /// What others wrote is known as of `since`.
    pub(super) fn last_seen(&self, since: Instant) {
        let at = since.saturating_duration_since(self.state.began).as_millis();
        self.state.last_seen.store(u64::try_from(at).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}
