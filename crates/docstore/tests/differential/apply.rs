use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use docstore::bson::oid::ObjectId;
use docstore::bson::{Bson, Document, serialize_to_vec};
use docstore::{Collection, Database, Error, Field, Filter, Find, Index, Result, Sort, UpdateResult};
use testkit::Target;

use crate::generate::Op;

/// Two engines, the first of which is the oracle, and the number of the next collection.
pub(crate) struct Pair {
    oracle: Database,
    other: Database,
    next: AtomicU64,
    /// Keeps the folder of the embedded store alive.
    _file: Arc<Target>,
}

/// Counts of executed operations.
#[derive(Default)]
pub(crate) struct Tally {
    operations: AtomicU64,
    failures: Mutex<BTreeMap<String, u64>>,
}

/// The compared outcome of an operation.
#[derive(Debug, Clone)]
enum Outcome {
    Documents { documents: Vec<Document>, in_order: bool },
    Count(u64),
    Ids(Vec<Bson>),
    Updated(UpdateResult),
    Text(String),
    Done,
    Failed(Failure),
    Many(Vec<Outcome>),
}

#[derive(Debug, Clone, PartialEq)]
struct Failure {
    class: String,
    at: Option<usize>,
    index: Option<String>,
    fields: Vec<String>,
}

impl Tally {
    pub(crate) fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    pub(crate) fn failures(&self, class: &str) -> u64 {
        self.failures.lock().expect("the tally").get(class).copied().unwrap_or(0)
    }

    fn count(&self, outcome: &Outcome) {
        if let Outcome::Many(inner) = outcome {
            return inner.iter().for_each(|one| self.count(one));
        }
        self.operations.fetch_add(1, Ordering::Relaxed);
        if let Outcome::Failed(failure) = outcome {
            *self.failures.lock().expect("the tally").entry(failure.class.clone()).or_default() += 1;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failures = self.failures.lock().expect("the tally");
        write!(f, "{} operations on both engines; refused alike: {failures:?}", self.operations())
    }
}

impl Pair {
    pub(crate) async fn open(target: &Arc<Target>) -> Self {
        let guard = testkit::scratch("differential-").expect("a folder");
        let file = Arc::new(Target::Embedded { path: guard.path().join("store.db"), guard });
        Self {
            oracle: testkit::open!(*target),
            other: testkit::open!(file),
            next: AtomicU64::new(0),
            _file: file,
        }
    }

    /// The embedded store, which agrees with MongoDB, and a store in memory.
    pub(crate) async fn in_memory(embedded: &Arc<Target>) -> Self {
        Self {
            oracle: testkit::open!(*embedded),
            other: docstore::memory::open(),
            next: AtomicU64::new(0),
            _file: Arc::clone(embedded),
        }
    }

    /// Runs a sequence on a new collection of both engines; `Err` describes the first difference.
    pub(crate) async fn run(&self, ops: &[Op], tally: &Tally) -> Result<(), String> {
        let name = format!("c{}", self.next.fetch_add(1, Ordering::Relaxed));
        let mut ids = HashMap::new();
        for (at, op) in ops.iter().enumerate() {
            let (oracle, other) = tokio::join!(apply(&self.oracle, &name, op), apply(&self.other, &name, op));
            tally.count(&oracle);
            learn(&oracle, &other, &mut ids);
            if !same(op, &oracle, &translated(&other, &ids)) {
                return Err(format!("operation {at}: {op:?}\n  oracle {oracle:?}\n  other  {other:?}"));
            }
        }
        let (oracle, other) = (everything(&self.oracle, &name).await, everything(&self.other, &name).await);
        let other: Vec<_> = other.iter().map(|document| renamed(document, &ids)).collect();
        if oracle.iter().map(bytes).eq(other.iter().map(bytes)) {
            Ok(())
        } else {
            Err(format!("the documents differ at the end\n  oracle {oracle:?}\n  other  {other:?}"))
        }
    }

    /// Removes operations from a failing sequence as long as it still fails.
    pub(crate) async fn least(&self, mut ops: Vec<Op>) -> (Vec<Op>, String) {
        let tally = Tally::default();
        let mut size = ops.len();
        while size > 0 {
            let mut start = 0;
            while start < ops.len() {
                let mut fewer = ops.clone();
                fewer.drain(start..(start + size).min(ops.len()));
                if self.run(&fewer, &tally).await.is_err() {
                    ops = fewer;
                } else {
                    start += size;
                }
            }
            size /= 2;
        }
        let difference = self.run(&ops, &tally).await.err().unwrap_or_else(|| "it was not repeated".into());
        (ops, difference)
    }
}

async fn everything(db: &Database, name: &str) -> Vec<Document> {
    let all = Find::new(Filter::All).sort(Sort::ascending(Field::ID));
    db.collection(name).find(all).await.expect("a read").documents().await.expect("documents")
}

async fn apply(db: &Database, name: &str, op: &Op) -> Outcome {
    match op {
        Op::EnsureIndex(index) => {
            settle(db.ensure_index(name, index).await.map(|e| Outcome::Text(format!("{e:?}"))))
        }
        Op::DropIndex(index) => settle(db.drop_index(name, index).await.map(|()| Outcome::Done)),
        Op::ListIndexes => settle(db.list_indexes(name).await.map(|list| Outcome::Text(described(&list)))),
        Op::UpdateManyOrNone { filter, update } => {
            let work = async {
                let t = db.begin().await?;
                let done = t.collection(name).update_many(filter, update).await?;
                t.commit().await?;
                Ok(Outcome::Updated(done))
            };
            settle(work.await)
        }
        Op::Transaction { ops, commit } => {
            let t = match db.begin().await {
                Ok(t) => t,
                Err(error) => return Outcome::Failed(failure(&error)),
            };
            let collection = t.collection(name);
            let mut outcomes = Vec::new();
            for op in ops {
                outcomes.push(on_collection(&collection, op).await);
            }
            let end = if *commit { t.commit().await } else { t.abort().await };
            outcomes.push(settle(end.map(|()| Outcome::Done)));
            Outcome::Many(outcomes)
        }
        op => on_collection(&db.collection(name), op).await,
    }
}

fn described(indexes: &[Index]) -> String {
    indexes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

async fn on_collection(c: &Collection, op: &Op) -> Outcome {
    let outcome = async {
        Ok(match op {
            Op::Insert(documents) => Outcome::Ids(c.insert_many(documents.clone()).await?),
            Op::Find(find) => {
                let documents = c.find(find.clone()).await?.documents().await?;
                let in_order = find.sort.fields().last().is_some_and(|(field, _)| *field == Field::ID);
                Outcome::Documents { documents, in_order }
            }
            Op::Count(filter) => Outcome::Count(c.count(filter).await?),
            Op::UpdateOne { filter, update, upsert: true } => {
                Outcome::Updated(c.upsert_one(filter, update).await?)
            }
            Op::UpdateOne { filter, update, .. } => Outcome::Updated(c.update_one(filter, update).await?),
            Op::UpdateMany { filter, update } => Outcome::Updated(c.update_many(filter, update).await?),
            Op::FindAndUpdate { filter, update, upsert } => {
                let (filter, update) = (filter.clone(), update.clone());
                let found = if *upsert {
                    Some(c.find_one_and_upsert(filter, update).await?)
                } else {
                    c.find_one_and_update(filter, update).await?
                };
                let documents = found.iter().map(|raw| raw.try_into().expect("a document")).collect();
                Outcome::Documents { documents, in_order: true }
            }
            Op::DeleteOne(filter) => Outcome::Count(c.delete_one(filter).await?),
            Op::DeleteMany(filter) => Outcome::Count(c.delete_many(filter).await?),
            Op::Bulk(writes) => Outcome::Updated(c.bulk_write(writes.clone()).await?),
            other => panic!("not an operation of a collection: {other:?}"),
        })
    };
    settle(outcome.await)
}

fn settle(result: Result<Outcome>) -> Outcome {
    result.unwrap_or_else(|error| Outcome::Failed(failure(&error)))
}

fn failure(error: &Error) -> Failure {
    let at = if let Error::Batch { at, .. } = error { Some(*at) } else { None };
    let fields =
        if let Error::DuplicateKey { fields, .. } = error.root() { fields.clone() } else { Vec::new() };
    // The name of the variant is its class.
    let debug = format!("{:?}", error.root());
    let class = debug.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
    assert!(class != "Engine" && class != "Unavailable", "{error:?}");
    Failure { class, at, index: error.duplicate_index().map(str::to_owned), fields }
}

fn same(op: &Op, a: &Outcome, b: &Outcome) -> bool {
    match (a, b) {
        (Outcome::Documents { documents: a, in_order }, Outcome::Documents { documents: b, .. }) => {
            let (mut a, mut b): (Vec<_>, Vec<_>) =
                (a.iter().map(bytes).collect(), b.iter().map(bytes).collect());
            if !in_order {
                a.sort();
                b.sort();
            }
            a == b
        }
        (Outcome::Count(a), Outcome::Count(b)) => a == b,
        (Outcome::Ids(a), Outcome::Ids(b)) => a == b,
        (Outcome::Updated(a), Outcome::Updated(b)) => a == b,
        (Outcome::Text(a), Outcome::Text(b)) => a == b,
        (Outcome::Done, Outcome::Done) => true,
        (Outcome::Failed(a), Outcome::Failed(b)) => {
            // If several documents violate the index, the first one reported is unspecified.
            let any_of_many = matches!(op, Op::EnsureIndex(_) | Op::UpdateManyOrNone { .. });
            let in_the_way =
                |f: &Failure| ["DuplicateKey", "Inapplicable", "InvalidDocument"].contains(&f.class.as_str());
            a == b || (any_of_many && in_the_way(a) && in_the_way(b))
        }
        (Outcome::Many(a), Outcome::Many(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(op, a, b))
        }
        _ => false,
    }
}

fn bytes(document: &Document) -> Vec<u8> {
    serialize_to_vec(document).expect("a document encodes")
}

/// Maps generated ids, which differ between the engines, by the results of upserts.
fn learn(oracle: &Outcome, other: &Outcome, ids: &mut HashMap<ObjectId, ObjectId>) {
    match (oracle, other) {
        (Outcome::Updated(a), Outcome::Updated(b)) => {
            if let (Some(Bson::ObjectId(a)), Some(Bson::ObjectId(b))) = (&a.upserted_id, &b.upserted_id) {
                ids.insert(*b, *a);
            }
        }
        (Outcome::Many(a), Outcome::Many(b)) => a.iter().zip(b).for_each(|(a, b)| learn(a, b, ids)),
        _ => {}
    }
}

fn translated(outcome: &Outcome, ids: &HashMap<ObjectId, ObjectId>) -> Outcome {
    match outcome {
        Outcome::Documents { documents, in_order } => Outcome::Documents {
            documents: documents.iter().map(|document| renamed(document, ids)).collect(),
            in_order: *in_order,
        },
        Outcome::Updated(done) => {
            let mut done = done.clone();
            if let Some(Bson::ObjectId(id)) = &mut done.upserted_id {
                *id = ids.get(id).copied().unwrap_or(*id);
            }
            Outcome::Updated(done)
        }
        Outcome::Many(inner) => Outcome::Many(inner.iter().map(|one| translated(one, ids)).collect()),
        other => other.clone(),
    }
}

fn renamed(document: &Document, ids: &HashMap<ObjectId, ObjectId>) -> Document {
    let mut document = document.clone();
    if let Some(Bson::ObjectId(id)) = document.get_mut("_id") {
        *id = ids.get(id).copied().unwrap_or(*id);
    }
    document
}
