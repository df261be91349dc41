use std::collections::VecDeque;
use std::time::Duration;

use bson::oid::ObjectId;
use bson::{Bson, Document};
use parking_lot::Mutex;

use crate::engine::Reach;
use crate::{Field, Filter, FindAndUpdate};

/// So many documents are remembered, for those who look less often than they are written.
const REMEMBERED: usize = 8192;

/// Bounds how long a write of another process may go unnoticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StalenessBound {
    /// Writes of other processes are not followed, so nothing that was read may be kept.
    #[default]
    Unknown,
    /// Some writes may be missed; what was read may be kept for this long.
    AtMost(Duration),
    /// Every write is noticed.
    Zero,
}

/// Which documents a write touched.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum WriteSet {
    /// These.
    Documents(Vec<ObjectId>),
    /// Any of the collection.
    Anything,
}

impl WriteSet {
    /// The document with this id.
    pub(crate) fn one(id: &Bson) -> Self {
        id.as_object_id().map_or(Self::Anything, |id| Self::Documents(vec![id]))
    }

    /// These documents.
    pub(crate) fn these<'a>(documents: impl IntoIterator<Item = &'a Document>) -> Self {
        let ids = documents.into_iter().map(|document| document.get_object_id("_id"));
        ids.collect::<Result<_, _>>().map_or(Self::Anything, Self::Documents)
    }

    /// The documents that a filter may mean.
    pub(crate) fn by(filter: &Filter) -> Self {
        match filter {
            Filter::Eq(field, id) if *field == Field::ID => Self::one(id),
            Filter::In(field, ids) if *field == Field::ID => {
                let ids = ids.iter().map(Bson::as_object_id);
                ids.collect::<Option<_>>().map_or(Self::Anything, Self::Documents)
            }
            Filter::And(filters) => {
                let known = filters.iter().map(Self::by).find(|touched| *touched != Self::Anything);
                known.unwrap_or(Self::Anything)
            }
            _ => Self::Anything,
        }
    }

    pub(crate) fn of_update(filter: &Filter, reach: Reach) -> Self {
        if reach == Reach::OneOrInsert { Self::by_upsert(filter) } else { Self::by(filter) }
    }

    pub(crate) fn of_find_and_update(find: &FindAndUpdate) -> Self {
        if find.upsert { Self::by_upsert(&find.filter) } else { Self::by(&find.filter) }
    }

    /// As [`WriteSet::by`], of a write that may insert. It has an id of its own unless the filter says which.
    pub(crate) fn by_upsert(filter: &Filter) -> Self {
        match filter {
            Filter::Eq(field, id) if *field == Field::ID => Self::one(id),
            Filter::And(filters) => {
                let known = filters.iter().map(Self::by_upsert).find(|touched| *touched != Self::Anything);
                known.unwrap_or(Self::Anything)
            }
            _ => Self::Anything,
        }
    }

    /// These and those.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Documents(mut all), Self::Documents(more)) => {
                all.extend(more);
                Self::Documents(all)
            }
            _ => Self::Anything,
        }
    }
}

/// Which documents of a collection were written, by anybody, one after the other. As with the numbers of collections, a
/// position is taken down before the store is asked: what is in the log from there on may or may not be in the answer.
#[derive(Default)]
pub struct WriteLog {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The position of the first.
    first: u64,
    ids: VecDeque<ObjectId>,
}

impl WriteLog {
    /// The documents that were written since a position, and the position now. `None` if it is not known which.
    pub fn since(&self, position: u64) -> (Option<Vec<ObjectId>>, u64) {
        let kept = self.kept.lock();
        let now = kept.first + kept.ids.len() as u64;
        let skipped = position.checked_sub(kept.first).and_then(|skipped| usize::try_from(skipped).ok());
        (skipped.map(|skipped| kept.ids.iter().skip(skipped).copied().collect()), now)
    }

    pub(super) fn note(&self, touched: &WriteSet) {
        let mut kept = self.kept.lock();
        match touched {
            WriteSet::Documents(ids) if ids.len() <= REMEMBERED => {
                kept.ids.extend(ids);
                while kept.ids.len() > REMEMBERED {
                    kept.ids.pop_front();
                    kept.first += 1;
                }
            }
            _ => {
                kept.first += kept.ids.len() as u64 + 1;
                kept.ids.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> ObjectId {
        ObjectId::from_bytes([n; 12])
    }

    #[test]
    fn a_log_tells_what_was_written_since_or_that_it_does_not_know() {
        let log = WriteLog::default();
        assert_eq!(log.since(0), (Some(vec![]), 0));
        log.note(&WriteSet::Documents(vec![id(1), id(2)]));
        assert_eq!(log.since(0), (Some(vec![id(1), id(2)]), 2));
        assert_eq!(log.since(1), (Some(vec![id(2)]), 2));
        log.note(&WriteSet::Anything);
        assert_eq!(log.since(2), (None, 3));
        assert_eq!(log.since(3), (Some(vec![]), 3));
        for _ in 0..=REMEMBERED {
            log.note(&WriteSet::Documents(vec![id(3)]));
        }
        assert_eq!(log.since(3).0, None, "the first of them is forgotten");
        assert_eq!(log.since(4).0.map(|ids| ids.len()), Some(REMEMBERED));
    }

    #[test]
    fn a_filter_that_names_ids_touches_no_others() {
        let pinned = Filter::and([Filter::ne("deleted", true), Filter::id(id(1))]);
        assert_eq!(WriteSet::by(&pinned), WriteSet::Documents(vec![id(1)]));
        assert_eq!(
            WriteSet::by(&Filter::is_in("_id", [id(1), id(2)])),
            WriteSet::Documents(vec![id(1), id(2)])
        );
        for open in [Filter::All, Filter::id("x"), Filter::or([Filter::id(id(1))]), Filter::gt("_id", id(1))]
        {
            assert_eq!(WriteSet::by(&open), WriteSet::Anything, "{open:?}");
        }
        // What an upsert inserts has one of these ids only if there is one.
        assert_eq!(WriteSet::by_upsert(&pinned), WriteSet::Documents(vec![id(1)]));
        assert_eq!(WriteSet::by_upsert(&Filter::is_in("_id", [id(1), id(2)])), WriteSet::Anything);
    }
}
