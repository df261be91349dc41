use std::collections::VecDeque;
use std::time::Duration;

use bson::oid::ObjectId;
use bson::{Bson, Document};
use parking_lot::Mutex;

use crate::engine::Operation;
use crate::{Field, Filter, Update, Write};

/// Number of written documents that a log keeps for readers that poll it less often than documents are written.
const LOG_LENGTH: usize = 8192;

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

/// The documents that a write may change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum WriteSet {
    /// Only documents with these ids.
    Documents(Vec<ObjectId>),
    /// Any document of the collection.
    Anything,
}

impl WriteSet {
    /// Returns the set of the document with this id.
    pub(crate) fn document(id: &Bson) -> Self {
        id.as_object_id().map_or(Self::Anything, |id| Self::Documents(vec![id]))
    }

    /// Returns the set of these documents.
    pub(crate) fn documents<'a>(documents: impl IntoIterator<Item = &'a Document>) -> Self {
        let ids = documents.into_iter().map(|document| document.get_object_id("_id"));
        ids.collect::<Result<_, _>>().map_or(Self::Anything, Self::Documents)
    }

    /// Returns the set of the documents that a filter may match. With `upsert`, the inserted document counts too: it has
    /// a new id unless the filter gives it one.
    pub(crate) fn matching(filter: &Filter, upsert: bool) -> Self {
        let ids = |condition: &Filter| match condition {
            Filter::Eq(field, id) if *field == Field::ID => id.as_object_id().map(|id| vec![id]),
            Filter::In(field, ids) if *field == Field::ID && !upsert => {
                ids.iter().map(Bson::as_object_id).collect()
            }
            _ => None,
        };
        filter.conjuncts().into_iter().find_map(ids).map_or(Self::Anything, Self::Documents)
    }

    pub(crate) fn of_write(write: &Write) -> Self {
        match write {
            Write::Insert(document) => Self::documents([document]),
            Write::UpdateOne { filter, .. }
            | Write::UpdateMany { filter, .. }
            | Write::DeleteMany(filter) => Self::matching(filter, false),
        }
    }

    /// Returns the union of two sets.
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

/// The values of the field that splits a collection, of the documents that a write may change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PartSet {
    /// Only documents with these values.
    Parts(Vec<String>),
    /// Any documents.
    All,
}

impl PartSet {
    /// Returns the part with this value of the field; only strings and object ids are values of their own.
    pub(crate) fn value(value: &Bson) -> Option<String> {
        match value {
            Bson::String(text) => Some(text.clone()),
            Bson::ObjectId(id) => Some(id.to_hex()),
            _ => None,
        }
    }

    /// Returns the parts of these documents.
    fn documents<'a>(documents: impl IntoIterator<Item = &'a Document>, field: &Field) -> Self {
        let parts = documents.into_iter().map(|document| Self::value(field.value_in(document)?));
        parts.collect::<Option<_>>().map_or(Self::All, Self::Parts)
    }

    /// Returns the parts of the documents that a filter may match.
    pub(crate) fn matching(filter: &Filter, field: &Field) -> Self {
        let values = |condition: &Filter| match condition {
            Filter::Eq(name, value) if name == field => Some(vec![Self::value(value)?]),
            Filter::In(name, values) if name == field => values.iter().map(Self::value).collect(),
            _ => None,
        };
        filter.conjuncts().into_iter().find_map(values).map_or(Self::All, Self::Parts)
    }

    /// Returns the parts of the documents before and after an update.
    fn updated(filter: &Filter, update: &Update, field: &Field) -> Self {
        if update.ops().iter().any(|op| op.field().overlaps(field)) {
            return Self::All;
        }
        Self::matching(filter, field)
    }

    fn of_write(write: &Write, field: &Field) -> Self {
        match write {
            Write::Insert(document) => Self::documents([document], field),
            Write::UpdateOne { filter, update } | Write::UpdateMany { filter, update } => {
                Self::updated(filter, update, field)
            }
            Write::DeleteMany(filter) => Self::matching(filter, field),
        }
    }

    /// Returns the parts that an operation writes.
    pub(crate) fn written(operation: &Operation, field: &Field) -> Self {
        match operation {
            Operation::Find(_) | Operation::Count(_) => Self::Parts(Vec::new()),
            Operation::Insert(documents) => Self::documents(documents, field),
            Operation::Update { filter, update, .. } | Operation::FindAndUpdate { filter, update, .. } => {
                Self::updated(filter, update, field)
            }
            Operation::Delete { filter, .. } => Self::matching(filter, field),
            Operation::Bulk(writes) => {
                let parts = writes.iter().map(|write| Self::of_write(write, field));
                parts.fold(Self::Parts(Vec::new()), Self::and)
            }
            Operation::InsertRaw(_) | Operation::Drop | Operation::RenameTo(_) => Self::All,
        }
    }

    /// Returns the union of two sets.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Parts(mut all), Self::Parts(more)) => {
                all.extend(more);
                Self::Parts(all)
            }
            _ => Self::All,
        }
    }
}

/// A log of the written documents of a collection, by any process. As with versions, a reader takes its position before it
/// asks the store: what the log holds from there on may or may not be in the answer.
#[derive(Default)]
pub struct WriteLog {
    entries: Mutex<LogEntries>,
}

#[derive(Default)]
struct LogEntries {
    /// The position of the first id.
    first: u64,
    ids: VecDeque<ObjectId>,
}

impl WriteLog {
    /// Returns the documents that were written since a position, `None` if the log no longer knows them, and the current
    /// position.
    pub fn since(&self, position: u64) -> (Option<Vec<ObjectId>>, u64) {
        let entries = self.entries.lock();
        let now = entries.first + entries.ids.len() as u64;
        let skipped = position.checked_sub(entries.first).and_then(|skipped| usize::try_from(skipped).ok());
        (skipped.map(|skipped| entries.ids.iter().skip(skipped).copied().collect()), now)
    }

    pub(super) fn append(&self, set: &WriteSet) {
        let mut entries = self.entries.lock();
        match set {
            WriteSet::Documents(ids) if ids.len() <= LOG_LENGTH => {
                entries.ids.extend(ids);
                while entries.ids.len() > LOG_LENGTH {
                    entries.ids.pop_front();
                    entries.first += 1;
                }
            }
            _ => {
                entries.first += entries.ids.len() as u64 + 1;
                entries.ids.clear();
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
    fn a_log_returns_writes_since_a_position_or_none() {
        let log = WriteLog::default();
        assert_eq!(log.since(0), (Some(vec![]), 0));
        log.append(&WriteSet::Documents(vec![id(1), id(2)]));
        assert_eq!(log.since(0), (Some(vec![id(1), id(2)]), 2));
        assert_eq!(log.since(1), (Some(vec![id(2)]), 2));
        log.append(&WriteSet::Anything);
        assert_eq!(log.since(2), (None, 3));
        assert_eq!(log.since(3), (Some(vec![]), 3));
        for _ in 0..=LOG_LENGTH {
            log.append(&WriteSet::Documents(vec![id(3)]));
        }
        assert_eq!(log.since(3).0, None, "the oldest entry is dropped");
        assert_eq!(log.since(4).0.map(|ids| ids.len()), Some(LOG_LENGTH));
    }

    #[test]
    fn writes_that_name_values_of_a_field_touch_their_parts_only() {
        let field = Field::from("target");
        let parts = |names: &[&str]| PartSet::Parts(names.iter().map(|&name| name.to_owned()).collect());
        let of_a = || Filter::and([Filter::ne("x", 1), Filter::eq("target", "a")]);
        let set = || Update::new().set("x", 1);
        for (operation, expected) in [
            (
                Operation::Insert(vec![bson::doc! { "target": "a" }, bson::doc! { "target": id(1) }]),
                parts(&["a", &id(1).to_hex()]),
            ),
            (Operation::Insert(vec![bson::doc! { "target": "a" }, bson::doc! {}]), PartSet::All),
            (Operation::Insert(vec![bson::doc! { "target": ["a"] }]), PartSet::All),
            (Operation::Delete { filter: of_a(), many: true }, parts(&["a"])),
            (
                Operation::Delete { filter: Filter::is_in("target", ["a", "b"]), many: true },
                parts(&["a", "b"]),
            ),
            (Operation::Delete { filter: Filter::or([of_a()]), many: true }, PartSet::All),
            (
                Operation::Bulk(vec![
                    Write::DeleteMany(of_a()),
                    Write::UpdateOne { filter: of_a(), update: set() },
                ]),
                parts(&["a", "a"]),
            ),
            (Operation::Bulk(vec![Write::DeleteMany(of_a()), Write::DeleteMany(Filter::All)]), PartSet::All),
            (Operation::FindAndUpdate { filter: of_a(), update: set(), upsert: true }, parts(&["a"])),
            // It moves documents to another part.
            (
                Operation::FindAndUpdate {
                    filter: of_a(),
                    update: Update::new().set("target", "b"),
                    upsert: false,
                },
                PartSet::All,
            ),
            (Operation::Drop, PartSet::All),
        ] {
            assert_eq!(PartSet::written(&operation, &field), expected);
        }
    }

    #[test]
    fn a_filter_on_ids_writes_only_those() {
        let pinned = Filter::and([Filter::ne("deleted", true), Filter::id(id(1))]);
        assert_eq!(WriteSet::matching(&pinned, false), WriteSet::Documents(vec![id(1)]));
        assert_eq!(
            WriteSet::matching(&Filter::is_in("_id", [id(1), id(2)]), false),
            WriteSet::Documents(vec![id(1), id(2)])
        );
        for open in [Filter::All, Filter::id("x"), Filter::or([Filter::id(id(1))]), Filter::gt("_id", id(1))]
        {
            assert_eq!(WriteSet::matching(&open, false), WriteSet::Anything, "{open:?}");
        }
        // What an upsert inserts has one of these ids only if there is one.
        assert_eq!(WriteSet::matching(&pinned, true), WriteSet::Documents(vec![id(1)]));
        assert_eq!(WriteSet::matching(&Filter::is_in("_id", [id(1), id(2)]), true), WriteSet::Anything);
    }
}
