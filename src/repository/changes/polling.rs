//! On a standalone server: after each write a process adds one to the collection's number in `_revisions`, and every
//! process reads these numbers at intervals. One that another process moved on means that the collection was written.
//!
//! A note follows its write without anybody waiting for it, so a process that is killed in between leaves none; then
//! others see the write when what they have made is too old.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use bson::Document;
use docstore::{Collection, Filter, Find, FindAndUpdate, Update};
use tokio::time::{MissedTickBehavior, interval};

use super::tracker::{ChangeTracker, PAUSE, POLL};
use crate::repository::entities::user;

const COLLECTION: &str = "_revisions";
const NUMBER: &str = "n";

/// Leaves notes and reads those of others, until the task is dropped.
pub(super) async fn follow(tracker: &ChangeTracker) {
    let mut notes = Notes {
        tracker,
        stored: tracker.database.collection(COLLECTION),
        known: HashMap::new(),
        unsaid: BTreeSet::new(),
    };
    // What was noted before is known from here on; what was made before is not to be trusted.
    while let Err(error) = notes.read().await {
        tracing::warn!(%error, "the revisions cannot be read; trying again");
        tokio::time::sleep(PAUSE).await;
    }
    tracker.database.versions().all_changed();
    tracker.database.versions().set_staleness_bound(tracker.staleness_bound());
    let mut ticks = interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            written = tracker.database.versions().own_writes() => notes.say(written).await,
            _ = ticks.tick() => {
                notes.say(BTreeSet::new()).await;
                if let Err(error) = notes.read().await {
                    tracing::debug!(%error, "the revisions cannot be read");
                }
            }
        }
    }
}

struct Notes<'a> {
    tracker: &'a ChangeTracker,
    stored: Collection,
    /// The last number of each collection.
    known: HashMap<String, i64>,
    /// Writes that could not be noted yet.
    unsaid: BTreeSet<String>,
}

impl Notes<'_> {
    /// Notes writes. One that cannot be noted is noted later.
    async fn say(&mut self, written: BTreeSet<String>) {
        // Bookkeeping is in no answer, and neither are users.
        let shown = |name: &String| !name.starts_with('_') && name != user::COLLECTION;
        self.unsaid.extend(written.into_iter().filter(shown));
        for name in std::mem::take(&mut self.unsaid) {
            let add = Update::new().inc(NUMBER, 1_i64);
            let upsert = FindAndUpdate::new(Filter::eq("_id", name.as_str()), add).upsert();
            match self.stored.find_one_and_update(upsert).await {
                Ok(Some(note)) => {
                    let number = number(&note);
                    // Ours is one; more are others'.
                    let before = self.known.insert(name.clone(), number).unwrap_or_default();
                    if number != before + 1 {
                        self.tracker.database.versions().changed(&name);
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%error, "a write cannot be noted yet");
                    self.unsaid.insert(name);
                }
            }
        }
    }

    /// Reads what others noted.
    async fn read(&mut self) -> Result<(), docstore::Error> {
        let asked = Instant::now();
        let notes = self.stored.find(Find::new(Filter::All)).await?.documents().await?;
        for note in notes {
            let Ok(name) = note.get_str("_id") else { continue };
            let number = number(&note);
            if self.known.insert(name.to_owned(), number) != Some(number) {
                self.tracker.database.versions().changed(name);
            }
        }
        self.tracker.last_seen(asked);
        Ok(())
    }
}

fn number(note: &Document) -> i64 {
    note.get_i64(NUMBER).unwrap_or_default()
}
