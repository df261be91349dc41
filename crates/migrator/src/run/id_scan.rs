use bson::spec::ElementType;
use bson::{Bson, Document};
use docstore::{Collection, Field, Filter, Find, Projection, Sort};
use serde::{Deserialize, Serialize};

use crate::Result;

/// A position in a collection that is read in the order of its ids, range by range. No document is read twice, whether it
/// was changed or not.
///
/// Comparisons match ids of one BSON type only, so the scan goes type by type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct IdScan {
    /// The last id that was read of each type, in the order of types.
    last: Vec<Bson>,
    within_type: bool,
    #[serde(skip)]
    end: bool,
}

/// A range of consecutive ids of one type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IdRange {
    from: Filter,
    /// The last id.
    until: Bson,
    /// True if more ids of the type may follow.
    more: bool,
}

impl IdRange {
    /// Returns a filter of the documents in the range.
    pub(crate) fn filter(&self) -> Filter {
        self.from.clone().also(Filter::lte(Field::ID, self.until.clone()))
    }

    /// Shortens the range to end at an id within it.
    pub(crate) fn cut(&mut self, last: Bson) {
        self.until = last;
        self.more = true;
    }
}

impl IdScan {
    /// Returns true if the scan is complete.
    pub(crate) fn is_end(&self) -> bool {
        self.end
    }

    /// Returns the position after the last document.
    pub(crate) fn at_end(&self) -> Self {
        Self { end: true, ..self.clone() }
    }

    /// Returns the next range, of at most `size` documents; `None` at the end. It reads only ids, so a range is found
    /// quickly however few of its documents match a filter.
    pub(crate) async fn next(&self, collection: &Collection, size: u64) -> Result<Option<IdRange>> {
        let Some(last) = self.last.last() else {
            return match id_at(collection, Filter::All, 0, true).await? {
                None => Ok(None),
                Some(first) => range(collection, Filter::gte(Field::ID, first), size).await,
            };
        };
        if self.within_type {
            let from = Filter::gt(Field::ID, last.clone());
            if let Some(range) = range(collection, from, size).await? {
                return Ok(Some(range));
            }
        }
        // The type of the greatest id is the last one. Documents that are inserted after the end of the scan are ignored:
        // otherwise a fast writer could keep it from ending.
        match id_at(collection, Filter::All, 0, false).await? {
            Some(greatest) if !same_type(&greatest, last) => {}
            _ => return Ok(None),
        }
        let passed = |id: &Bson| Filter::lte(Field::ID, id.clone()).negated();
        let others = Filter::and(self.last.iter().map(passed));
        match id_at(collection, others, 0, true).await? {
            None => Ok(None),
            Some(first) => range(collection, Filter::gte(Field::ID, first), size).await,
        }
    }

    /// Returns the position after a range.
    pub(crate) fn after(&self, range: &IdRange) -> Self {
        let mut next = self.clone();
        if next.last.last().is_some_and(|known| same_type(known, &range.until)) {
            next.last.pop();
        }
        next.last.push(range.until.clone());
        next.within_type = range.more;
        next
    }
}

/// The position of a batched migration: stored in the ledger's entry with each batch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Progress {
    /// The completed steps.
    done: Vec<String>,
    /// The current step.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    /// The position in the collection of the current step.
    #[serde(rename = "pages", skip_serializing_if = "Option::is_none")]
    scan: Option<IdScan>,
}

impl Progress {
    /// Returns true if an earlier attempt completed a step.
    pub(crate) fn is_done(&self, step: &str) -> bool {
        self.done.iter().any(|done| done == step)
    }

    /// Returns the position from which a step continues.
    pub(crate) fn scan(&self, step: &str) -> IdScan {
        self.scan.clone().filter(|_| self.step.as_deref() == Some(step)).unwrap_or_default()
    }

    /// Returns the progress after a batch of a step.
    pub(crate) fn with(&self, step: &str, scan: &IdScan) -> Self {
        let mut done = self.done.clone();
        if scan.is_end() {
            done.push(step.to_owned());
            return Self { done, ..Self::default() };
        }
        Self { done, step: Some(step.to_owned()), scan: Some(scan.clone()) }
    }

    /// Returns the progress as it is stored in the ledger; `None` before the first batch.
    pub(crate) fn to_bson(&self) -> Option<Bson> {
        let stored = || bson::serialize_to_bson(self).expect("a position consists of strings and ids");
        (*self != Self::default()).then(stored)
    }

    /// Parses the progress from the ledger.
    pub(crate) fn from_document(document: &Document) -> Self {
        bson::deserialize_from_document(document.clone()).unwrap_or_default()
    }
}

/// Returns the first `size` documents of one type as a range.
async fn range(collection: &Collection, from: Filter, size: u64) -> Result<Option<IdRange>> {
    if let Some(until) = id_at(collection, from.clone(), size.saturating_sub(1), true).await? {
        return Ok(Some(IdRange { from, until, more: true }));
    }
    let last = id_at(collection, from.clone(), 0, false).await?;
    Ok(last.map(|until| IdRange { from, until, more: false }))
}

async fn id_at(collection: &Collection, filter: Filter, skip: u64, up: bool) -> Result<Option<Bson>> {
    let order = if up { Sort::ascending(Field::ID) } else { Sort::descending(Field::ID) };
    let ids = Find::new(filter).sort(order).skip(skip).projection(Projection::id());
    Ok(collection.find_one(ids).await?.and_then(|mut document| document.remove("_id")))
}

/// Returns true if comparisons match both ids. NaN compares only with itself.
fn same_type(a: &Bson, b: &Bson) -> bool {
    let kind = |value: &Bson| match value {
        Bson::Double(v) if v.is_nan() => (ElementType::Double, true),
        Bson::Int32(_) | Bson::Int64(_) => (ElementType::Double, false),
        other => (other.element_type(), false),
    };
    kind(a) == kind(b)
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn progress_round_trips_through_the_ledger() {
        let scan = IdScan { last: vec![2.into(), "t".into()], within_type: true, end: false };
        let progress = Progress::default().with("a", &IdScan::default().at_end()).with("b", &scan);
        let Some(Bson::Document(kept)) = progress.to_bson() else { panic!("progress is stored") };
        let pages = doc! { "last": [2, "t"], "within_type": true };
        assert_eq!(kept, doc! { "done": ["a"], "step": "b", "pages": pages });
        let read = Progress::from_document(&kept);
        assert_eq!(read, progress);
        assert!(read.is_done("a") && !read.is_done("b"));
        assert_eq!(read.scan("b"), scan);
        assert_eq!(read.scan("c"), IdScan::default());
        assert_eq!(Progress::default().to_bson(), None);
    }

    testkit::stores! {
        async fn documents_inserted_after_the_end_do_not_prolong_the_scan(db: docstore::Database) {
            let things = db.collection("things");
            things.insert_many((0..5).map(|i| doc! { "_id": i }).collect()).await.unwrap();
            let scan = IdScan::default();
            let all = scan.next(&things, 10).await.unwrap().unwrap();
            things.insert_one(doc! { "_id": 7 }).await.unwrap();
            assert_eq!(scan.after(&all).next(&things, 10).await.unwrap(), None);
        }

        async fn every_id_of_every_type_is_read_once(db: docstore::Database) {
            let things = db.collection("things");
            let numbers = (0..7).map(|i| doc! { "_id": i });
            let halves = (0..3).map(|i| doc! { "_id": f64::from(i) + 0.5 });
            let texts = (0..5).map(|i| doc! { "_id": format!("t{i}") });
            let odd = [doc! { "_id": Bson::Null }, doc! { "_id": { "a": 1 } }, doc! { "_id": true }, doc! { "_id": f64::NAN }];
            let all: Vec<Document> = numbers.chain(halves).chain(texts).chain(odd).collect();
            things.insert_many(all.clone()).await.unwrap();
            for size in [1, 2, 3, 5, 100] {
                let mut scan = IdScan::default();
                let mut met = Vec::new();
                while let Some(mut range) = scan.next(&things, size).await.unwrap() {
                    let find = Find::new(range.filter()).sort(Sort::ascending(Field::ID));
                    let mut found = things.find(find).await.unwrap().documents().await.unwrap();
                    assert!(!found.is_empty() && found.len() as u64 <= size);
                    if found.len() > 2 {
                        found.truncate(2);
                        range.cut(found[1].get("_id").unwrap().clone());
                    }
                    met.extend(found);
                    assert!(met.len() <= all.len(), "some are read twice: {met:?}");
                    let progress = Progress::default().with("step", &scan.after(&range));
                    let Some(Bson::Document(stored)) = progress.to_bson() else { panic!("progress is stored") };
                    scan = Progress::from_document(&stored).scan("step");
                }
                let text = |documents: &[Document]| {
                    let mut ids: Vec<String> = documents.iter().map(ToString::to_string).collect();
                    ids.sort();
                    ids
                };
                assert_eq!(text(&met), text(&all), "by {size}");
            }
        }
    }
}
