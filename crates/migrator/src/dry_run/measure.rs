use bson::oid::ObjectId;
use bson::{Bson, Document};
use docstore::{Collection, Database, Field, Filter, Find, Sort, Store, Update, UpdateOp, Write};

use super::Sample;
use crate::journal::has_value;
use crate::operation::Operation;
use crate::run::StepOutcome;
use crate::step::Step;
use crate::{Inserted, Result};

/// The number of documents that are shown of a step.
const SAMPLES: usize = 3;
/// The number of documents that are read one by one to count exactly what a step changes.
const EXACT_LIMIT: u64 = 10_000;

/// The effect of a step.
pub(super) struct Measure {
    pub(super) matched: u64,
    pub(super) exact: bool,
    pub(super) samples: Vec<Sample>,
    /// The average size of the previous values of one document, in bytes.
    pub(super) bytes_before: u64,
    /// The outcome that the migration sees.
    pub(super) outcome: StepOutcome,
    /// The writes that perform the step; complete if the measure is exact.
    pub(super) writes: Vec<Write>,
}

impl Measure {
    fn new(matched: u64, samples: Vec<Sample>, writes: Vec<Write>) -> Self {
        let bytes =
            |document: &Document| bson::serialize_to_vec(document).map_or(0, |bytes| bytes.len() as u64);
        let before: u64 = samples.iter().map(|sample| bytes(&sample.before)).sum();
        let bytes_before = before / (samples.len() as u64).max(1);
        let outcome = StepOutcome::Changed(matched);
        Self { matched, exact: true, samples, bytes_before, outcome, writes }
    }

    fn of_inserts(missing: Vec<Document>) -> Self {
        let samples = missing.iter().take(SAMPLES).map(inserted).collect();
        Self::new(missing.len() as u64, samples, missing.into_iter().map(Write::Insert).collect())
    }
}

/// Measures a step. Documents are read from `store`, indexes from `db`, since no transaction has them.
pub(super) async fn measure(store: &dyn Store, db: &Database, step: &Step) -> Result<Measure> {
    let documents = store.collection(&step.collection);
    let operation = &step.operation;
    let filter = operation.pending().unwrap_or(Filter::All);
    match operation {
        Operation::Set { .. } | Operation::Unset { renamed_to: None, .. } => {
            let update = operation.uniform_update().unwrap_or_default();
            let found = first(&documents, &filter).await?;
            let samples = found.iter().map(|document| changed(document, &update)).collect();
            let matched = documents.count(&filter).await?;
            Ok(Measure::new(matched, samples, vec![Write::UpdateMany { filter, update }]))
        }
        Operation::CopyField { .. } | Operation::Unset { .. } | Operation::UpdateEach { .. } => {
            update_each(&documents, &filter, operation).await
        }
        Operation::Insert { key, document } => insert(&documents, key, document).await,
        Operation::InsertMany { key, documents: wanted, .. } => {
            let mut missing: Vec<Document> = Vec::new();
            for document in wanted {
                let same = |other: &Document| key.iter().all(|f| f.value_in(other) == f.value_in(document));
                let key = key.iter().map(|field| has_value(field.clone(), field.value_in(document)));
                let existing = Find::new(Filter::and(key));
                if !missing.iter().any(same) && documents.find_one(existing).await?.is_none() {
                    missing.push(document.clone());
                }
            }
            Ok(Measure::of_inserts(missing))
        }
        Operation::Delete { .. } => {
            let samples = first(&documents, &filter).await?.into_iter().map(|mut document| {
                let id = document.remove("_id").unwrap_or(Bson::Null);
                Sample { id, before: document, after: Document::new() }
            });
            let matched = documents.count(&filter).await?;
            Ok(Measure::new(matched, samples.collect(), vec![Write::DeleteMany(filter)]))
        }
        Operation::Copy { to, .. } => copy(&documents, &store.collection(to), filter).await,
        Operation::CreateIndex(index) => {
            let existing = db.list_indexes(&step.collection).await?;
            Ok(ddl(!existing.iter().any(|existing| existing.same_definition(index))))
        }
        Operation::DropIndex(name) => {
            let existing = db.list_indexes(&step.collection).await?;
            Ok(ddl(existing.iter().any(|existing| existing.name() == name)))
        }
    }
}

fn ddl(changes: bool) -> Measure {
    Measure::new(u64::from(changes), Vec::new(), Vec::new())
}

async fn first(documents: &Collection, filter: &Filter) -> Result<Vec<Document>> {
    let read = Find::new(filter.clone()).sort(Sort::ascending(Field::ID)).limit(SAMPLES as u64);
    Ok(documents.find(read).await?.documents().await?)
}

/// Measures an operation whose update depends on the document. Beyond [`EXACT_LIMIT`], all matches count as changed.
async fn update_each(documents: &Collection, filter: &Filter, operation: &Operation) -> Result<Measure> {
    let matching = documents.count(filter).await?;
    let read = Find::new(filter.clone()).sort(Sort::ascending(Field::ID)).projection(operation.reads());
    let mut cursor = documents.find(read.limit(EXACT_LIMIT)).await?;
    let mut updates = Vec::new();
    while let Some(document) = cursor.next_document().await? {
        if let Some(update) = operation.update_for(&document)? {
            updates.push((document.get("_id").cloned().unwrap_or(Bson::Null), update));
        }
    }
    let mut samples = Vec::new();
    for (id, update) in updates.iter().take(SAMPLES) {
        if let Some(document) = documents.find_one(Find::new(Filter::id(id.clone()))).await? {
            samples.push(changed(&document, update));
        }
    }
    let exact = matching <= EXACT_LIMIT;
    let matched = if exact { updates.len() as u64 } else { matching };
    let write = |(id, update)| Write::UpdateOne { filter: Filter::id(id), update };
    let writes = updates.into_iter().map(write).collect();
    Ok(Measure { exact, ..Measure::new(matched, samples, writes) })
}

async fn insert(documents: &Collection, key: &Filter, document: &Document) -> Result<Measure> {
    let read = Find::new(key.clone()).sort(Sort::ascending(Field::ID));
    if let Some(found) = documents.find_one(read).await? {
        let id = found.get("_id").cloned().unwrap_or(Bson::Null);
        let outcome = StepOutcome::Inserted(Inserted::Present(id));
        return Ok(Measure { outcome, ..Measure::of_inserts(Vec::new()) });
    }
    let measure = Measure::of_inserts(vec![document.clone()]);
    let id = document.get("_id").cloned().unwrap_or_else(|| ObjectId::new().into());
    let mut document = document.clone();
    document.insert("_id", id.clone());
    let outcome = StepOutcome::Inserted(Inserted::New(id));
    Ok(Measure { outcome, writes: vec![Write::Insert(document)], ..measure })
}

/// Measures a copy. Beyond [`EXACT_LIMIT`], all matches count as copied, which is exact if the target is empty.
async fn copy(from: &Collection, to: &Collection, filter: Filter) -> Result<Measure> {
    let matching = from.count(&filter).await?;
    let is_empty = to.find_one(Find::new(Filter::All)).await?.is_none();
    if matching > EXACT_LIMIT {
        let (exact, found) = (is_empty, if is_empty { first(from, &filter).await? } else { Vec::new() });
        let samples = found.iter().map(inserted).collect();
        return Ok(Measure { exact, ..Measure::new(matching, samples, Vec::new()) });
    }
    let mut missing = Vec::new();
    let mut cursor = from.find(Find::new(filter).sort(Sort::ascending(Field::ID))).await?;
    while let Some(document) = cursor.next_document().await? {
        let id = document.get("_id").cloned().unwrap_or(Bson::Null);
        if is_empty || to.find_one(Find::new(Filter::id(id))).await?.is_none() {
            missing.push(document);
        }
    }
    Ok(Measure::of_inserts(missing))
}

fn inserted(document: &Document) -> Sample {
    let mut after = document.clone();
    let id = after.remove("_id").unwrap_or(Bson::Null);
    Sample { id, before: Document::new(), after }
}

/// Returns the fields that an update changes, before and after.
fn changed(document: &Document, update: &Update) -> Sample {
    let (mut before, mut after) = (Document::new(), Document::new());
    for op in update.ops() {
        if let UpdateOp::Set(field, value) = op {
            after.insert(field.as_str(), value.clone());
        }
        if let (UpdateOp::Set(field, _) | UpdateOp::Unset(field), Some(value)) =
            (op, op.field().value_in(document))
        {
            before.insert(field.as_str(), value.clone());
        }
    }
    Sample { id: document.get("_id").cloned().unwrap_or(Bson::Null), before, after }
}
