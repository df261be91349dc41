//! Counts of filters, kept between requests.
//!
//! A count is kept by ranges of ids. An id never changes and every observed write names its id, so a write makes one
//! range of each filter stale, and the next request counts that range alone. A write that names no id makes all ranges
//! stale. The position in the write log is read before the store is queried, so a count that races a write is stale at
//! the next look.

use std::ops;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::oid::ObjectId;
use docstore::{
    Collection, CollectionVersions, Database, Error, Field, Filter, Find, Projection, Sort, StalenessBound,
    WriteLog,
};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use moka::sync::Cache;
use tokio::sync::Mutex;

/// The number of filters of a collection whose counts are kept, the most frequent ones.
const MAX_FILTERS: u64 = 64;
/// The number of documents in a new range. A range with twice as many is split.
const RANGE_SIZE: u64 = 250;
/// With more stale ranges than this, all ranges are rebuilt.
const MAX_STALE_RANGES: usize = 64;
/// The number of ranges that are counted concurrently.
const CONCURRENT_COUNTS: usize = 4;

/// The totals of a collection.
pub(in crate::repository) struct Totals {
    collection: Collection,
    versions: CollectionVersions,
    log: Arc<WriteLog>,
    /// By serialized filter. A request that counts holds the lock, and the others wait for its result.
    kept: Cache<Vec<u8>, Arc<Mutex<Ranges>>>,
}

/// A total, as far as it is known without a query.
pub(super) enum KnownTotal {
    /// The current total.
    Exact(u64),
    /// The total before the last writes; counting the rest is fast.
    About(u64),
    /// Nothing is known.
    Unknown,
}

impl Totals {
    pub(in crate::repository) fn new(database: &Database, collection: &str) -> Self {
        let versions = database.versions().clone();
        let log = versions.write_log(collection);
        Self { collection: database.collection(collection), versions, log, kept: Cache::new(MAX_FILTERS) }
    }

    /// Returns the number of documents that a filter selects, as far as it is known.
    pub(super) fn known(&self, filter: &Filter) -> KnownTotal {
        if self.versions.staleness_bound() == StalenessBound::Unknown {
            return KnownTotal::Unknown;
        }
        // A response with the total depends on the collection.
        self.versions.record_read(self.collection.name());
        let Some(total) = key(filter).and_then(|key| self.kept.get(&key)) else { return KnownTotal::Unknown };
        // A count in progress holds the lock. The list may be long, so it is not read to its end.
        let Ok(mut ranges) = total.try_lock() else { return KnownTotal::About(u64::MAX) };
        self.catch_up(&mut ranges);
        match ranges.total() {
            Some(total) => KnownTotal::Exact(total),
            None if ranges.is_new() => KnownTotal::Unknown,
            None => KnownTotal::About(ranges.last_total()),
        }
    }

    /// Counts the documents that a filter selects.
    pub(super) async fn count(&self, filter: &Filter) -> Result<u64, Error> {
        let Some(key) = key(filter).filter(|_| self.versions.staleness_bound() != StalenessBound::Unknown)
        else {
            return self.collection.count(filter).await;
        };
        self.versions.record_read(self.collection.name());
        let total = self.kept.get_with(key, Arc::default);
        let mut ranges = total.lock().await;
        self.catch_up(&mut ranges);
        ranges.count(&self.collection, filter).await
    }

    /// Marks as stale what was written since the last look. Queries from here on include those writes.
    fn catch_up(&self, ranges: &mut Ranges) {
        ranges.mark_written(&self.log);
        if let StalenessBound::AtMost(age) = self.versions.staleness_bound() {
            ranges.expire(age);
        }
    }
}

fn key(filter: &Filter) -> Option<Vec<u8>> {
    bson::serialize_to_vec(&filter.to_mql()).ok()
}

/// The count of a filter, by ranges of ids.
#[derive(Default)]
struct Ranges {
    /// In order of ids; the first has no lower bound. Empty before the first count.
    all: Vec<Range>,
    /// The position in the write log up to which writes are marked.
    position: u64,
    /// Some id is not an object id. Comparisons stay within a type, so there is one range then.
    mixed: bool,
}

/// The ids from a lower bound up to the next range.
#[derive(Debug, Clone)]
struct Range {
    from: Option<ObjectId>,
    count: u64,
    /// Time of the count; `None` if the range is stale.
    counted: Option<Instant>,
}

impl Ranges {
    fn is_new(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns the total, if no range is stale.
    fn total(&self) -> Option<u64> {
        let current = !self.is_new() && self.all.iter().all(|range| range.counted.is_some());
        current.then(|| self.last_total())
    }

    /// Returns the total with the last count of stale ranges.
    fn last_total(&self) -> u64 {
        self.all.iter().map(|range| range.count).sum()
    }

    /// Marks the ranges that were written since the last look as stale.
    fn mark_written(&mut self, log: &WriteLog) {
        let (written, now) = log.since(self.position);
        self.position = now;
        match written {
            None => self.all.clear(),
            Some(ids) if self.is_new() => drop(ids),
            Some(ids) => {
                for id in ids {
                    let at = self.range_with(id);
                    self.all[at].counted = None;
                }
            }
        }
    }

    /// Drops all counts if one of them is older than `age`.
    fn expire(&mut self, age: Duration) {
        if self.all.iter().any(|range| range.counted.is_some_and(|counted| counted.elapsed() >= age)) {
            self.all.clear();
        }
    }

    /// Counts the stale ranges and returns the total.
    async fn count(&mut self, collection: &Collection, filter: &Filter) -> Result<u64, Error> {
        let stale: Vec<_> = (0..self.all.len()).filter(|at| self.all[*at].counted.is_none()).collect();
        let started = Instant::now();
        if self.is_new() || (stale.len() > MAX_STALE_RANGES && !self.mixed) {
            self.rebuild(collection, filter, 0..self.all.len()).await?;
            return Ok(self.last_total());
        }
        let counts: Vec<_> = stale
            .iter()
            .map(|at| {
                let within = filter.clone().also(self.within(*at..*at + 1));
                async move { collection.count(&within).await }
            })
            .collect();
        let counts: Vec<u64> = stream::iter(counts).buffered(CONCURRENT_COUNTS).try_collect().await?;
        for (at, count) in stale.iter().zip(counts) {
            let range = &mut self.all[*at];
            (range.count, range.counted) = (count, Some(started));
        }
        for at in stale.into_iter().rev() {
            if self.all[at].count > 2 * RANGE_SIZE && !self.mixed {
                self.rebuild(collection, filter, at..at + 1).await?;
            }
        }
        Ok(self.last_total())
    }

    /// Returns the index of the range with this id.
    fn range_with(&self, id: ObjectId) -> usize {
        self.all.partition_point(|range| range.from.is_none_or(|from| from <= id)).saturating_sub(1)
    }

    /// Returns the condition on the ids of some ranges. It has both bounds, so that the store sees that it is narrow.
    fn within(&self, ranges: ops::Range<usize>) -> Filter {
        let from = self.all.get(ranges.start).and_then(|range| range.from);
        let until = self.all.get(ranges.end).and_then(|range| range.from);
        if from.is_none() && until.is_none() {
            return Filter::All;
        }
        let from = from.unwrap_or(ObjectId::from_bytes([u8::MIN; 12]));
        let last = ObjectId::from_bytes([u8::MAX; 12]);
        let until = until.map_or(Filter::lte(Field::ID, last), |until| Filter::lt(Field::ID, until));
        Filter::and([Filter::gte(Field::ID, from), until])
    }

    /// Rebuilds some ranges from the ids in them, in one pass.
    async fn rebuild(
        &mut self,
        collection: &Collection,
        filter: &Filter,
        at: ops::Range<usize>,
    ) -> Result<(), Error> {
        let started = Instant::now();
        let begin = |from| Range { from, count: 0, counted: Some(started) };
        let mut ranges = vec![begin(self.all.get(at.start).and_then(|range| range.from))];
        let find = Find::new(filter.clone().also(self.within(at.clone())))
            .sort(Sort::ascending(Field::ID))
            .projection(Projection::include::<Field>([]));
        let mut ids = collection.find(find).await?;
        let mut mixed = false;
        loop {
            let document = match ids.next_raw().await {
                Ok(Some(document)) => document,
                Ok(None) => break,
                // It is not counted either where the store counts.
                Err(Error::Damaged { .. }) => continue,
                Err(error) => return Err(error),
            };
            let id = document.get_object_id("_id").ok();
            mixed |= id.is_none();
            let full = ranges.last().is_some_and(|range| range.count >= RANGE_SIZE);
            if let Some(id) = id.filter(|_| full) {
                ranges.push(begin(Some(id)));
            }
            if let Some(last) = ranges.last_mut() {
                last.count += 1;
            }
        }
        let all = at == (0..self.all.len());
        self.all.splice(at, ranges);
        self.mixed = mixed || (self.mixed && !all);
        if self.mixed {
            self.all = vec![Range { from: None, count: self.last_total(), counted: Some(started) }];
        }
        Ok(())
    }
}
