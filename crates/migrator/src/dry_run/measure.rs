use bson::oid::ObjectId;
use bson::{Bson, Document};
use docstore::{Collection, Database, Field, Filter, Find, Index, Sort, Store, Update, UpdateOp};

use super::Sample;
use crate::Inserted;
use crate::Result;
use crate::run::{Change, StepOutcome, Work};

/// How many documents of a step are shown.
const SAMPLES: usize = 3;
/// Up to how many documents a function is asked for each.
const ASKED: u64 = 10_000;

/// What a step would do.
pub(super) struct Measure {
    pub(super) matched: u64,
    pub(super) exact: bool,
    pub(super) samples: Vec<Sample>,
    pub(super) bytes_before: u64,
    /// What the migration is told.
    pub(super) outcome: StepOutcome,
}

impl Measure {
    fn counted(matched: u64, samples: Vec<Sample>) -> Self {
        let bytes =
            |document: &Document| bson::serialize_to_vec(document).map_or(0, |bytes| bytes.len() as u64);
        let before: u64 = samples.iter().map(|sample| bytes(&sample.before)).sum();
        let bytes_before = before / (samples.len() as u64).max(1);
        Self { matched, exact: true, samples, bytes_before, outcome: StepOutcome::Changed(matched) }
    }
}

/// Looks at a step. Documents are read from the one store; indexes and rules from the other, since no transaction has
/// them.
pub(super) async fn measure(
    store: &dyn Store,
    db: &Database,
    collection: &str,
    work: &Work<'_>,
) -> Result<Measure> {
    let documents = store.collection(collection);
    match work {
        Work::Change { open, change: change @ Change::Each { .. } } => each(&documents, open, change).await,
        Work::Change { open, change } => {
            let matched = documents.count(open).await?;
            let mut samples = Vec::new();
            for document in first(&documents, open).await? {
                let update = change.of(&document).unwrap_or_default();
                samples.push(changed(&document, &update));
            }
            Ok(Measure::counted(matched, samples))
        }
        Work::Insert { key, document } => insert(&documents, key, document).await,
        Work::InsertMany { key, documents: wanted } => {
            let mut absent: Vec<&Document> = Vec::new();
            for document in wanted {
                let repeated = absent.iter().any(|other| key.iter().all(|f| at(other, f) == at(document, f)));
                if !repeated && documents.find_one(Find::new(same(key, document))).await?.is_none() {
                    absent.push(document);
                }
            }
            let samples = absent.iter().take(SAMPLES).map(|document| inserted(document)).collect();
            Ok(Measure::counted(absent.len() as u64, samples))
        }
        Work::Delete { filter } => {
            let matched = documents.count(filter).await?;
            let gone = first(&documents, filter).await?;
            let samples = gone.into_iter().map(|mut document| {
                let id = document.remove("_id").unwrap_or(Bson::Null);
                Sample { id, before: document, after: Document::new() }
            });
            Ok(Measure::counted(matched, samples.collect()))
        }
        Work::Copy { to, filter } => copy(&documents, &store.collection(to), filter).await,
        Work::CreateIndex { index } => {
            let there = db.list_indexes(collection).await?;
            Ok(defined(!there.iter().any(|other: &Index| other.same_definition(index))))
        }
        Work::DropIndex { name } => {
            let there = db.list_indexes(collection).await?;
            Ok(defined(there.iter().any(|other| other.name() == *name)))
        }
    }
}

fn defined(changes: bool) -> Measure {
    Measure::counted(u64::from(changes), Vec::new())
}

/// The first documents, for people.
async fn first(documents: &Collection, filter: &Filter) -> Result<Vec<Document>> {
    let read = Find::new(filter.clone()).sort(Sort::ascending(Field::ID)).limit(SAMPLES as u64);
    Ok(documents.find(read).await?.documents().await?)
}

/// A function has to be asked for each document whether it changes it; where there are too many, all of them may be.
async fn each(documents: &Collection, open: &Filter, change: &Change<'_>) -> Result<Measure> {
    let most = documents.count(open).await?;
    let read =
        Find::new(open.clone()).sort(Sort::ascending(Field::ID)).projection(change.reads()).limit(ASKED);
    let mut cursor = documents.find(read).await?;
    let (mut matched, mut updates) = (0, Vec::new());
    while let Some(document) = cursor.next_document().await? {
        let Some(update) = change.of(&document) else { continue };
        matched += 1;
        if updates.len() < SAMPLES {
            updates.push((document.get("_id").cloned().unwrap_or(Bson::Null), update));
        }
    }
    let mut samples = Vec::new();
    for (id, update) in updates {
        if let Some(document) = documents.find_one(Find::new(Filter::id(id))).await? {
            samples.push(changed(&document, &update));
        }
    }
    let exact = most <= ASKED;
    Ok(Measure { exact, ..Measure::counted(if exact { matched } else { most }, samples) })
}

async fn insert(documents: &Collection, key: &Filter, document: &Document) -> Result<Measure> {
    let read = Find::new(key.clone()).sort(Sort::ascending(Field::ID));
    if let Some(found) = documents.find_one(read).await? {
        let id = found.get("_id").cloned().unwrap_or(Bson::Null);
        let outcome = StepOutcome::Inserted(Inserted::Present(id));
        return Ok(Measure { outcome, ..Measure::counted(0, Vec::new()) });
    }
    let id = document.get("_id").cloned().unwrap_or_else(|| ObjectId::new().into());
    let outcome = StepOutcome::Inserted(Inserted::New(id));
    Ok(Measure { outcome, ..Measure::counted(1, vec![inserted(document)]) })
}

async fn copy(from: &Collection, to: &Collection, filter: &Filter) -> Result<Measure> {
    let all = from.count(filter).await?;
    let exact = all <= ASKED;
    let mut absent = Vec::new();
    if to.find_one(Find::new(Filter::All)).await?.is_none() {
        let samples = first(from, filter).await?.iter().map(inserted).collect();
        return Ok(Measure::counted(all, samples));
    }
    if exact {
        let mut cursor = from.find(Find::new(filter.clone()).sort(Sort::ascending(Field::ID))).await?;
        while let Some(document) = cursor.next_document().await? {
            let id = document.get("_id").cloned().unwrap_or(Bson::Null);
            if to.find_one(Find::new(Filter::id(id))).await?.is_none() {
                absent.push(inserted(&document));
            }
        }
    }
    let matched = if exact { absent.len() as u64 } else { all };
    absent.truncate(SAMPLES);
    Ok(Measure { exact, ..Measure::counted(matched, absent) })
}

fn inserted(document: &Document) -> Sample {
    let mut after = document.clone();
    let id = after.remove("_id").unwrap_or(Bson::Null);
    Sample { id, before: Document::new(), after }
}

/// The fields that an update changes, before and after. Steps only set and unset fields of the document itself.
fn changed(document: &Document, update: &Update) -> Sample {
    let (mut before, mut after) = (Document::new(), Document::new());
    for op in update.ops() {
        let field = match op {
            UpdateOp::Set(field, value) => {
                after.insert(field.as_str(), value.clone());
                field
            }
            UpdateOp::Unset(field) => field,
            // Any other is refused before it is carried out.
            _ => continue,
        };
        if let Some(value) = at(document, field) {
            before.insert(field.as_str(), value.clone());
        }
    }
    Sample { id: document.get("_id").cloned().unwrap_or(Bson::Null), before, after }
}

/// The documents with the same values in the fields of the key.
pub(super) fn same(key: &[Field], document: &Document) -> Filter {
    let equal = |field: &Field| match at(document, field) {
        Some(value) => Filter::eq(field.clone(), value.clone()),
        None => Filter::missing(field.clone()),
    };
    Filter::and(key.iter().map(equal))
}

fn at<'d>(document: &'d Document, field: &Field) -> Option<&'d Bson> {
    let mut parts = field.parts();
    let mut value = document.get(parts.next()?)?;
    for part in parts {
        value = value.as_document()?.get(part)?;
    }
    Some(value)
}
