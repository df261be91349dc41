//! How many documents a filter means, kept between requests.
//!
//! A count is kept by ranges of ids (`ranges`). An id never changes, and every write that is learned of names it, so a
//! write makes the count of one range doubtful for each filter, and that range alone is counted anew. After one that does
//! not, all are. A position in the log of writes is taken down before the store is asked, so a count that
//! raced a write is doubtful again at the next look.

use std::sync::Arc;

use docstore::{Collection, CollectionVersions, Database, Error, Filter, StalenessBound, WriteLog};
use moka::sync::Cache;
use tokio::sync::Mutex;

use super::ranges::Ranges;

/// So many filters of a collection are remembered, those that are asked for most.
const FILTERS: u64 = 64;

/// The totals of a collection.
pub(in crate::repository) struct Totals {
    collection: Collection,
    revisions: CollectionVersions,
    log: Arc<WriteLog>,
    kept: Cache<Vec<u8>, Arc<Total>>,
}

/// Of one filter. Who counts holds it, and the others wait for what comes of that.
type Total = Mutex<Ranges>;

/// What is known of a total without asking the store.
pub(super) enum Known {
    /// All of it.
    Total(u64),
    /// What it was before the last writes, roughly; the rest is soon counted.
    About(u64),
    /// Nothing, or it is not to be trusted.
    Nothing,
}

impl Totals {
    pub(in crate::repository) fn new(database: &Database, collection: &str) -> Self {
        let revisions = database.versions().clone();
        let log = revisions.write_log(collection);
        Self { collection: database.collection(collection), revisions, log, kept: Cache::new(FILTERS) }
    }

    /// How many documents a filter means, if that is known.
    pub(super) fn known(&self, filter: &Filter) -> Known {
        if self.revisions.staleness_bound() == StalenessBound::Unknown {
            return Known::Nothing;
        }
        // Whatever is made of the total is made of the collection.
        self.revisions.read(self.collection.name());
        let Some(total) = key(filter).and_then(|key| self.kept.get(&key)) else { return Known::Nothing };
        // While it is being counted nobody can look; a list that is counted may be long.
        let Ok(mut ranges) = total.try_lock() else { return Known::About(u64::MAX) };
        self.catch_up(&mut ranges);
        match ranges.total() {
            Some(total) => Known::Total(total),
            None if ranges.is_new() => Known::Nothing,
            None => Known::About(ranges.about()),
        }
    }

    /// How many documents a filter means.
    pub(super) async fn count(&self, filter: &Filter) -> Result<u64, Error> {
        let Some(key) = key(filter).filter(|_| self.revisions.staleness_bound() != StalenessBound::Unknown)
        else {
            return self.collection.count(filter).await;
        };
        self.revisions.read(self.collection.name());
        let total = self.kept.get_with(key, Arc::default);
        let mut ranges = total.lock().await;
        self.catch_up(&mut ranges);
        ranges.count(&self.collection, filter).await
    }

    /// Learns what was written since the last look. Whatever is asked of the store from here on has all of it.
    fn catch_up(&self, ranges: &mut Ranges) {
        ranges.learn(&self.log);
        if let StalenessBound::AtMost(age) = self.revisions.staleness_bound() {
            ranges.forget_older(age);
        }
    }
}

fn key(filter: &Filter) -> Option<Vec<u8>> {
    bson::serialize_to_vec(&filter.to_mql()).ok()
}
