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

use docstore::{Database, ReadLog, Reads, Revisions, ServerFacts, Trust};
use tokio::sync::watch;

use super::{change_stream, polling};
use crate::repository::entities::user;

/// How often the store is asked what others wrote.
pub(super) const POLL: Duration = Duration::from_millis(300);
/// How often it is asked for a sign of life, and how long it has to give one.
const HEARTBEAT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(2));
/// After so many heartbeats without an answer the store is away.
const SILENT: u32 = 2;
/// Between attempts.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// Whether what was made of reads still holds. Cheap to clone.
#[derive(Clone)]
pub struct Freshness {
    pub(super) database: Database,
    state: Arc<State>,
}

struct State {
    began: Instant,
    /// Milliseconds after which nothing is fresh any more, whatever is known; 0 for never.
    max_age: AtomicU64,
    /// When it was last learned what others wrote: milliseconds after `began`.
    heard: AtomicU64,
    /// For those who wait for it, and, without a lock, for those who only look.
    away: watch::Sender<bool>,
    is_away: AtomicBool,
}

impl Freshness {
    /// Of what is read from this database. Others' writes are not learned before [`Freshness::follow`] runs.
    pub fn new(database: &Database) -> Self {
        let state = State {
            began: Instant::now(),
            max_age: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            away: watch::Sender::new(false),
            is_away: AtomicBool::new(false),
        };
        Self { database: database.clone(), state: Arc::new(state) }
    }

    /// Learns what others write, until the database is closed or the future is dropped. Whatever was made longer than
    /// `unseen` ago counts as out of date where and while others can write without being seen.
    pub async fn follow(&self, unseen: Duration) {
        self.set_max_age(unseen);
        let _until_it_ends = Learning(self.database.revisions());
        tokio::select! {
            () = self.learn(unseen) => {}
            () = self.listen() => {}
        }
    }

    /// What was read of something that reads nothing: it is made anew after every write.
    pub fn everything(&self) -> Reads {
        self.database.revisions().everything()
    }

    /// Whether what was made of these reads may be kept for others.
    pub fn may_keep(reads: &Reads) -> bool {
        // Users are written at every request with a token, so that others are not told of it.
        reads.collections().all(|collection| collection != user::COLLECTION)
    }

    /// Whether something that was made of these reads, at that time, still holds.
    pub fn holds(&self, reads: &Reads, made: Instant) -> bool {
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
        let heard = Duration::from_millis(self.state.heard.load(Ordering::Relaxed));
        self.state.began.elapsed().saturating_sub(heard)
    }

    async fn learn(&self, unseen: Duration) {
        let facts = loop {
            match self.database.facts().await {
                Ok(facts) => break facts,
                Err(error) => {
                    tracing::warn!(%error, "the store does not say what it is; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        let ServerFacts { precise_changes, engine, .. } = facts;
        if precise_changes {
            change_stream::follow(self, engine, unseen).await;
        } else {
            // A total may be as old as that when it is rendered, and what is rendered as old again.
            self.set_max_age(unseen / 2);
            polling::follow(self).await;
        }
    }

    /// Asks for signs of life.
    async fn listen(&self) {
        let mut silent = 0;
        loop {
            tokio::time::sleep(HEARTBEAT.0).await;
            let answers =
                tokio::time::timeout(HEARTBEAT.1, self.database.ping()).await.is_ok_and(|a| a.is_ok());
            silent = if answers { 0 } else { silent + 1 };
            let away = silent >= SILENT;
            self.state.is_away.store(away, Ordering::Relaxed);
            let turned = self.state.away.send_if_modified(|was| std::mem::replace(was, away) != away);
            match (turned, away) {
                (true, true) => tracing::warn!("the store is away: what is rendered is served all the same"),
                (true, false) => tracing::info!("the store is back"),
                (false, _) => {}
            }
        }
    }

    /// As [`Freshness::holds`] has it.
    pub(super) fn trust(&self) -> Trust {
        match self.state.max_age.load(Ordering::Relaxed) {
            0 => Trust::Full,
            age => Trust::For(Duration::from_millis(age)),
        }
    }

    pub(super) fn set_max_age(&self, age: Duration) {
        let milliseconds = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        self.state.max_age.store(milliseconds, Ordering::Relaxed);
    }

    /// What others wrote is known as of `since`.
    pub(super) fn heard(&self, since: Instant) {
        let at = since.saturating_duration_since(self.state.began).as_millis();
        self.state.heard.store(u64::try_from(at).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Once nobody learns any more what others write, nothing is to be trusted.
struct Learning<'a>(&'a Revisions);

impl Drop for Learning<'_> {
    fn drop(&mut self) {
        self.0.set_trust(Trust::None);
    }
}

/// Notes what is read while something is made; [`ReadLog`] for the layers above.
pub type Reading = ReadLog;
