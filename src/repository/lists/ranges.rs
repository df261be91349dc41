use std::time::{Duration, Instant};

use bson::oid::ObjectId;
use docstore::{Collection, Error, Field, Filter, Find, Projection, Sort, WriteLog};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

/// So many documents are in a range when it is made; one with twice as many is divided.
const SIZE: u64 = 250;
/// If more ranges than these are doubtful, all are made anew.
const FEW: usize = 64;
/// So many of them are counted at the same time.
const AT_ONCE: usize = 4;

/// The count of a filter, by ranges of ids.
#[derive(Default)]
pub(super) struct Ranges {
    /// In their order; the first has no lower bound. None before the first count.
    all: Vec<Range>,
    /// The position in the log of writes up to which they were looked at.
    position: u64,
    /// An id was met that is no object id. Comparisons stay within a type, so all is one range then.
    mixed: bool,
}

/// The ids from one on, up to the next range's.
#[derive(Debug, Clone)]
struct Range {
    from: Option<ObjectId>,
    count: u64,
    /// When it was counted; `None` if it was written since.
    counted: Option<Instant>,
}

impl Ranges {
    /// Whether nothing was ever counted.
    pub(super) fn is_new(&self) -> bool {
        self.all.is_empty()
    }

    /// The sum, if nothing of it is doubtful.
    pub(super) fn total(&self) -> Option<u64> {
        let certain = !self.is_new() && self.all.iter().all(|range| range.counted.is_some());
        certain.then(|| self.about())
    }

    /// The sum, with what is doubtful as it was.
    pub(super) fn about(&self) -> u64 {
        self.all.iter().map(|range| range.count).sum()
    }

    /// Doubts what was written since the last look.
    pub(super) fn learn(&mut self, log: &WriteLog) {
        let (written, now) = log.since(self.position);
        self.position = now;
        match written {
            None => self.all.clear(),
            Some(ids) if self.is_new() => drop(ids),
            Some(ids) => {
                for id in ids {
                    let at = self.holder(id);
                    self.all[at].counted = None;
                }
            }
        }
    }

    /// Forgets everything if a part of it was counted longer ago.
    pub(super) fn forget_older(&mut self, age: Duration) {
        if self.all.iter().any(|range| range.counted.is_some_and(|counted| counted.elapsed() >= age)) {
            self.all.clear();
        }
    }

    /// Counts what is doubtful; the sum.
    pub(super) async fn count(&mut self, collection: &Collection, filter: &Filter) -> Result<u64, Error> {
        let doubtful: Vec<_> = (0..self.all.len()).filter(|at| self.all[*at].counted.is_none()).collect();
        let asked = Instant::now();
        if self.is_new() || (doubtful.len() > FEW && !self.mixed) {
            self.divide(collection, filter, 0..self.all.len()).await?;
        } else {
            let counts: Vec<_> = doubtful
                .iter()
                .map(|at| {
                    let within = filter.clone().also(self.within(*at, *at + 1));
                    async move { collection.count(&within).await }
                })
                .collect();
            let counts: Vec<u64> = stream::iter(counts).buffered(AT_ONCE).try_collect().await?;
            for (at, count) in doubtful.iter().zip(counts) {
                let range = &mut self.all[*at];
                (range.count, range.counted) = (count, Some(asked));
            }
            for at in doubtful.into_iter().rev() {
                if self.all[at].count > 2 * SIZE && !self.mixed {
                    self.divide(collection, filter, at..at + 1).await?;
                }
            }
        }
        Ok(self.all.iter().map(|range| range.count).sum())
    }

    /// Which range an id lies in.
    fn holder(&self, id: ObjectId) -> usize {
        self.all.partition_point(|range| range.from.is_none_or(|from| from <= id)).saturating_sub(1)
    }

    /// The condition on the ids of some ranges. It has both ends, by which a store sees that it is a narrow one.
    fn within(&self, first: usize, end: usize) -> Filter {
        let from = self.all.get(first).and_then(|range| range.from);
        let until = self.all.get(end).and_then(|range| range.from);
        if from.is_none() && until.is_none() {
            return Filter::All;
        }
        let from = from.unwrap_or(ObjectId::from_bytes([u8::MIN; 12]));
        let last = ObjectId::from_bytes([u8::MAX; 12]);
        let until = until.map_or(Filter::lte(Field::ID, last), |until| Filter::lt(Field::ID, until));
        Filter::and([Filter::gte(Field::ID, from), until])
    }

    /// Makes some ranges anew, by the ids that are in them: one pass.
    async fn divide(
        &mut self,
        collection: &Collection,
        filter: &Filter,
        at: std::ops::Range<usize>,
    ) -> Result<(), Error> {
        let asked = Instant::now();
        let begin = |from| Range { from, count: 0, counted: Some(asked) };
        let mut made = vec![begin(self.all.get(at.start).and_then(|range| range.from))];
        let find = Find::new(filter.clone().also(self.within(at.start, at.end)))
            .sort(Sort::ascending(Field::ID))
            .projection(Projection::include::<Field>([]));
        let mut ids = collection.find(find).await?;
        let mut mixed = false;
        while let Some(document) = ids.next_raw().await? {
            let id = document.get_object_id("_id").ok();
            mixed |= id.is_none();
            let full = made.last().is_some_and(|range| range.count >= SIZE);
            if let Some(id) = id.filter(|_| full) {
                made.push(begin(Some(id)));
            }
            if let Some(last) = made.last_mut() {
                last.count += 1;
            }
        }
        let all = at == (0..self.all.len());
        self.all.splice(at, made);
        self.mixed = mixed || (self.mixed && !all);
        if self.mixed {
            let count = self.all.iter().map(|range| range.count).sum();
            self.all = vec![Range { from: None, count, counted: Some(asked) }];
        }
        Ok(())
    }
}
