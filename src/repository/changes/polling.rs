//! Polling on a standalone server: after each write a process increments the collection's number in `_revisions`, and
//! every process polls these numbers. A number that another process incremented means that the collection was written.
//!
//! The write does not wait for the increment. If a process is killed between the two, other processes see the write when
//! their results reach the maximum age.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use bson::RawDocument;
use docstore::{Collection, Filter, Find, Update};
use tokio::time::{MissedTickBehavior, interval};

use super::tracker::{ChangeTracker, POLL_INTERVAL, RETRY_DELAY};
use crate::repository::entities::user;

const COLLECTION: &str = "_revisions";
const NUMBER: &str = "n";

/// Publishes own writes and polls those of others, until the future is dropped.
pub(super) async fn follow(tracker: &ChangeTracker) {
    let versions = tracker.database.versions();
    let mut numbers = WriteNumbers {
        tracker,
        stored: tracker.database.collection(COLLECTION),
        known: HashMap::new(),
        unpublished: BTreeSet::new(),
    };
    // Earlier results are invalid, because writes before the first poll are not seen.
    while let Err(error) = numbers.poll().await {
        tracing::warn!(%error, "failed to read the write numbers; retrying");
        tokio::time::sleep(RETRY_DELAY).await;
    }
    versions.record_change_anywhere();
    versions.set_staleness_bound(tracker.staleness_bound());
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            written = versions.own_writes() => numbers.publish(written).await,
            _ = ticks.tick() => {
                numbers.publish(BTreeSet::new()).await;
                if let Err(error) = numbers.poll().await {
                    tracing::debug!(%error, "failed to read the write numbers");
                }
            }
        }
    }
}

/// The numbers of writes, by collection.
struct WriteNumbers<'a> {
    tracker: &'a ChangeTracker,
    stored: Collection,
    /// The last known number of each collection.
    known: HashMap<String, i64>,
    /// Written collections whose number is not incremented yet.
    unpublished: BTreeSet<String>,
}

impl WriteNumbers<'_> {
    /// Increments the numbers of written collections. What fails is retried with the next call.
    async fn publish(&mut self, written: BTreeSet<String>) {
        // No response depends on internal collections, and none with users is cached.
        let relevant = |name: &String| !name.starts_with('_') && name != user::COLLECTION;
        self.unpublished.extend(written.into_iter().filter(relevant));
        for name in std::mem::take(&mut self.unpublished) {
            let increment = Update::new().inc(NUMBER, 1_i64);
            let filter = Filter::eq("_id", name.as_str());
            match self.stored.find_one_and_upsert(filter, increment).await {
                Ok(stored) => {
                    let number = number(&stored);
                    // An increment of more than one includes writes of other processes.
                    let before = self.known.insert(name.clone(), number).unwrap_or_default();
                    if number != before + 1 {
                        self.tracker.database.versions().record_change(&name);
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "failed to publish a write; retrying");
                    self.unpublished.insert(name);
                }
            }
        }
    }

    /// Reads the numbers and marks collections that other processes wrote as changed.
    async fn poll(&mut self) -> Result<(), docstore::Error> {
        let started = Instant::now();
        let documents = self.stored.find(Find::new(Filter::All)).await?.raw_documents().await?;
        for document in documents {
            let Ok(name) = document.get_str("_id") else { continue };
            let number = number(&document);
            if self.known.insert(name.to_owned(), number) != Some(number) {
                self.tracker.database.versions().record_change(name);
            }
        }
        self.tracker.set_last_seen(started);
        Ok(())
    }
}

fn number(document: &RawDocument) -> i64 {
    document.get_i64(NUMBER).unwrap_or_default()
}
