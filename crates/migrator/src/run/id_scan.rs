use bson::spec::ElementType;
use bson::{Bson, Document, doc};
use docstore::{Collection, Field, Filter, Find, Projection, Sort};

use crate::Result;

/// Goes through a collection in the order of the ids, a range at a time. What was passed is never met again, be it
/// changed or not.
///
/// A comparison of ids stays within one type, so after the last id of a type those of the other types are asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct IdScan {
    /// The last id passed of each type, in the order of types.
    last: Vec<Bson>,
    within_type: bool,
    end: bool,
}

/// A part of a collection: ids of one type, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IdRange {
    from: Filter,
    /// Its last id.
    until: Bson,
    /// Whether there may be more of the type.
    more: bool,
}

impl IdRange {
    /// Its documents.
    pub(crate) fn filter(&self) -> Filter {
        self.from.clone().also(Filter::lte(Field::ID, self.until.clone()))
    }

    /// Ends it at this id of it.
    pub(crate) fn cut(&mut self, last: Bson) {
        self.until = last;
        self.more = true;
    }
}

impl IdScan {
    /// Whether everything was passed.
    pub(crate) fn is_end(&self) -> bool {
        self.end
    }

    /// Past everything there is.
    pub(crate) fn at_end(&self) -> Self {
        Self { end: true, ..self.clone() }
    }

    /// The next range of a collection, of `size` documents at the most; `None` at the end. It reads ids only, so it
    /// costs little, and no range takes long however few of its documents are wanted.
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
        // Types come one after the other, so nothing follows the one that has the last id of all. What was inserted
        // behind it meanwhile is left alone, or whoever inserts fast enough would keep this from ever ending.
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

    /// Past this range.
    pub(crate) fn after(&self, range: &IdRange) -> Self {
        let mut next = self.clone();
        if next.last.last().is_some_and(|known| same_type(known, &range.until)) {
            next.last.pop();
        }
        next.last.push(range.until.clone());
        next.within_type = range.more;
        next
    }

    /// For the ledger.
    pub(crate) fn to_document(&self) -> Document {
        doc! { "last": self.last.clone(), "within_type": self.within_type }
    }

    /// From the ledger.
    pub(crate) fn from_document(document: &Document) -> Self {
        Self {
            last: document.get_array("last").cloned().unwrap_or_default(),
            within_type: document.get_bool("within_type").unwrap_or(false),
            end: false,
        }
    }
}

/// The first documents of a range of ids of one type.
async fn range(collection: &Collection, from: Filter, size: u64) -> Result<Option<IdRange>> {
    if let Some(until) = id_at(collection, from.clone(), size.saturating_sub(1), true).await? {
        return Ok(Some(IdRange { from, until, more: true }));
    }
    let last = id_at(collection, from.clone(), 0, false).await?;
    Ok(last.map(|until| IdRange { from, until, more: false }))
}

async fn id_at(collection: &Collection, filter: Filter, skip: u64, up: bool) -> Result<Option<Bson>> {
    let order = if up { Sort::ascending(Field::ID) } else { Sort::descending(Field::ID) };
    let ids = Find::new(filter).sort(order).skip(skip).projection(Projection::Include(Vec::new()));
    Ok(collection.find_one(ids).await?.and_then(|mut document| document.remove("_id")))
}

/// Whether a comparison reaches from one to the other. What is not a number compares with itself alone.
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
    use super::*;

    testkit::stores! {
        async fn what_is_inserted_behind_the_end_does_not_keep_it_from_ending(db: docstore::Database) {
            let things = db.collection("things");
            things.insert_many((0..5).map(|i| doc! { "_id": i }).collect()).await.unwrap();
            let scan = IdScan::default();
            let all = scan.next(&things, 10).await.unwrap().unwrap();
            things.insert_one(doc! { "_id": 7 }).await.unwrap();
            assert_eq!(scan.after(&all).next(&things, 10).await.unwrap(), None);
        }

        async fn every_id_of_every_type_is_met_once(db: docstore::Database) {
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
                    assert!(met.len() <= all.len(), "some are met twice: {met:?}");
                    scan = IdScan::from_document(&scan.after(&range).to_document());
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
