use std::collections::HashSet;

use bson::oid::ObjectId;
use bson::{Bson, Document};
use docstore::{Field, Filter, Find, Projection, Sort, Store};

use super::attempt::{Attempt, Inserted};
use super::batches::BATCH_BYTES;
use super::live::{LiveSink, StepContext};
use super::session::{Batch, Scope};
use crate::journal::{self, CHUNK, Record};
use crate::{Error, Event, Result, StepCounts};

impl LiveSink<'_> {
    /// Inserts one document unless one matches the key.
    pub(super) async fn insert(
        &self,
        attempt: &mut Attempt,
        at: usize,
        key: &Filter,
        document: &Document,
    ) -> Result<Inserted> {
        let document = [with_id(document)];
        let before = attempt.counts[at].clone();
        let inserted = loop {
            if self.insert_batch(attempt, at, InsertKey::Matching(key), &document).await? > 0 {
                let [document] = document;
                break Inserted::New(document.get("_id").cloned().unwrap_or(Bson::Null));
            }
            let ctx = StepContext { session: self.session, attempt, at };
            if let Some(existing) = ctx.existing(self.store(), key).await? {
                break existing;
            }
        };
        attempt.counts[at] = match inserted {
            Inserted::New(_) => StepCounts { inserted: 1, ..before },
            Inserted::Present(_) => StepCounts { left: 1, ..before },
        };
        Ok(inserted)
    }

    /// Inserts the documents whose key does not exist. Returns their number.
    pub(super) async fn insert_many(
        &self,
        attempt: &mut Attempt,
        at: usize,
        key: &[Field],
        documents: &[Document],
    ) -> Result<u64> {
        let mut rest = documents;
        let mut total = 0;
        // A resumed run finds the documents of the earlier attempt again; they are counted once.
        attempt.counts[at].left = 0;
        while !rest.is_empty() {
            let (some, others) = rest.split_at(batch_len(rest)?);
            rest = others;
            total += self.insert_batch(attempt, at, InsertKey::SameIn(key), some).await?;
            let Attempt { migration, counts, .. } = &*attempt;
            self.session.emit(&Event::Progress { migration, counts: &counts[at] });
        }
        Ok(total)
    }

    /// Inserts the documents of one batch whose key does not exist. Returns their number.
    async fn insert_batch(
        &self,
        attempt: &mut Attempt,
        at: usize,
        key: InsertKey<'_>,
        documents: &[Document],
    ) -> Result<u64> {
        let ctx = StepContext { session: self.session, attempt, at };
        let batch = InsertBatch { ctx, key, documents };
        // Where nothing is missing nothing is written, not even to the ledger.
        let (counts, journal_bytes) = if batch.missing(self.store()).await?.is_empty() {
            (batch.counts_after(0), 0)
        } else {
            self.batch(&attempt.migration, &batch).await?
        };
        let inserted = counts.inserted - attempt.counts[at].inserted;
        attempt.counts[at] = counts;
        attempt.writer.written(journal_bytes);
        Ok(inserted)
    }
}

impl StepContext<'_> {
    /// Returns the document that matches a key; a document of an earlier attempt counts as new.
    async fn existing(&self, store: &dyn Store, key: &Filter) -> Result<Option<Inserted>> {
        let StepCounts { step, collection, .. } = self.counts();
        let ids = Projection::id();
        let read = Find::new(key.clone()).sort(Sort::ascending(Field::ID)).projection(ids);
        let Some(mut found) = store.collection(collection).find_one(read).await? else { return Ok(None) };
        let id = found.remove("_id").unwrap_or(Bson::Null);
        let ours =
            self.attempt.is_resumed() && journal::inserted(store, &self.attempt.migration, step, &id).await?;
        Ok(Some(if ours { Inserted::New(id) } else { Inserted::Present(id) }))
    }
}

/// The condition under which a document counts as present.
#[derive(Clone, Copy)]
enum InsertKey<'a> {
    /// A document matches this filter.
    Matching(&'a Filter),
    /// A document has the same values in these fields.
    SameIn(&'a [Field]),
}

struct InsertBatch<'a> {
    ctx: StepContext<'a>,
    key: InsertKey<'a>,
    documents: &'a [Document],
}

impl InsertBatch<'_> {
    /// Returns the documents whose key does not exist. Of several with the same key it returns the first.
    async fn missing(&self, store: &dyn Store) -> Result<Vec<&Document>> {
        let collection = store.collection(&self.ctx.counts().collection);
        let key = match self.key {
            InsertKey::Matching(filter) => {
                let found = collection.find_one(Find::new(filter.clone())).await?.is_some();
                return Ok(if found { Vec::new() } else { self.documents.iter().collect() });
            }
            InsertKey::SameIn(key) => key,
        };
        let filter = match key {
            [field] => {
                let value = |document: &Document| document.get(field.as_str()).cloned().unwrap_or(Bson::Null);
                Filter::is_in(field.clone(), self.documents.iter().map(value))
            }
            fields => Filter::or(self.documents.iter().map(|document| {
                let same = |field: &Field| journal::has_value(field.clone(), document.get(field.as_str()));
                Filter::and(fields.iter().map(same))
            })),
        };
        let read = Find::new(filter).projection(Projection::include(key.to_vec()));
        let values = |document: &Document| {
            let values: Vec<_> = key.iter().map(|field| document.get(field.as_str())).collect();
            format!("{values:?}")
        };
        let found = collection.find(read).await?.documents().await?;
        let mut seen: HashSet<String> = found.iter().map(values).collect();
        Ok(self.documents.iter().filter(|document| seen.insert(values(document))).collect())
    }

    fn counts_after(&self, inserted: usize) -> StepCounts {
        let mut counts = self.ctx.counts().clone();
        counts.inserted += inserted as u64;
        counts.left += (self.documents.len() - inserted) as u64;
        counts
    }
}

impl Batch for InsertBatch<'_> {
    type Out = (StepCounts, i64);

    async fn run(&self, scope: &Scope) -> Result<Self::Out> {
        let missing: Vec<Document> = self.missing(scope).await?.into_iter().map(with_id).collect();
        let counts = self.counts_after(missing.len());
        if missing.is_empty() {
            return Ok((counts, 0));
        }
        self.ctx.begin_batch(scope).await?;
        let journal_bytes = self.ctx.journal(scope, &counts.collection, &Record::inserted(&missing)?).await?;
        // The position in the batch says nothing to the operator.
        let unwrapped = |error| match error {
            docstore::Error::Batch { source, .. } => *source,
            other => other,
        };
        scope.collection(&counts.collection).insert_many(missing).await.map_err(unwrapped)?;
        self.ctx.session.boundary(&self.ctx.attempt.migration, scope).await?;
        self.ctx.record_counts(scope, &counts, None).await?;
        Ok((counts, journal_bytes))
    }
}

/// Returns the number of documents at the front that fit one batch.
fn batch_len(documents: &[Document]) -> Result<usize> {
    let mut bytes = 0;
    for (at, document) in documents.iter().enumerate() {
        bytes += bson::serialize_to_raw_document_buf(document)
            .map_err(|_| Error::migration("failed to encode a document to insert"))?
            .as_bytes()
            .len();
        if at > 0 && (at == CHUNK || bytes > BATCH_BYTES) {
            return Ok(at);
        }
    }
    Ok(documents.len())
}

/// Returns the document with its id, which may be generated, as the first field.
fn with_id(document: &Document) -> Document {
    let id = document.get("_id").cloned().unwrap_or_else(|| ObjectId::new().into());
    let mut ordered = Document::new();
    ordered.insert("_id", id);
    ordered.extend(document.clone().into_iter().filter(|(name, _)| name != "_id"));
    ordered
}
