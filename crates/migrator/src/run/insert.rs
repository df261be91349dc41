use std::collections::HashSet;

use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::{Bson, Document};
use docstore::{Collection, Field, Filter, Find, Projection, Sort, Store};

use super::attempt::Attempt;
use super::copy::inserted;
use super::live::{LiveSink, StepContext};
use super::session::{Batch, Scope};
use super::up::Inserted;
use crate::journal::{self, CHUNK};
use crate::{Event, Result, StepCounts};

/// Documents of one batch, by their bytes.
const MOST_BYTES: usize = 4 * 1024 * 1024;

impl LiveSink<'_> {
    /// Inserts one document unless there is one.
    pub(super) async fn insert(
        &self,
        attempt: &mut Attempt,
        at: usize,
        key: &Filter,
        document: &Document,
    ) -> Result<Inserted> {
        let ctx = StepContext { session: self.session, attempt, at };
        // A look first: where nothing is to be done nothing is written.
        let inserted = if let Some(found) = ctx.present(self.store(), key).await? {
            found
        } else {
            let batch = One { ctx, key, document };
            let (inserted, noted) = self.batch(&batch.ctx.attempt.migration, &batch).await?;
            attempt.writer.written(noted);
            inserted
        };
        let counts = &mut attempt.counts[at];
        match inserted {
            Inserted::New(_) => counts.inserted = 1,
            Inserted::Present(_) => counts.left = 1,
        }
        Ok(inserted)
    }

    /// Inserts those that are not there. Returns how many.
    pub(super) async fn insert_many(
        &self,
        attempt: &mut Attempt,
        at: usize,
        key: &[Field],
        documents: &[Document],
    ) -> Result<u64> {
        let migration = attempt.migration.clone();
        let mut rest = documents;
        let mut total = 0;
        // A run that is repeated finds its own documents; they are counted once.
        attempt.counts[at].left = 0;
        while !rest.is_empty() {
            let (some, others) = rest.split_at(fitting(rest)?);
            rest = others;
            let batch =
                Several { ctx: StepContext { session: self.session, attempt, at }, key, documents: some };
            // As above.
            let missing = batch.missing(self.store()).await?.len();
            let (counts, noted) = if missing == 0 {
                let mut counts = attempt.counts[at].clone();
                counts.left += some.len() as u64;
                (counts, 0)
            } else {
                self.batch(&migration, &batch).await?
            };
            total += counts.inserted - attempt.counts[at].inserted;
            attempt.counts[at] = counts;
            attempt.writer.written(noted);
            self.session.tell(&Event::Progress { migration: &migration, counts: &attempt.counts[at] });
        }
        Ok(total)
    }
}

/// How many of the first documents fit a batch.
fn fitting(documents: &[Document]) -> Result<usize> {
    let mut bytes = 0;
    for (at, document) in documents.iter().enumerate() {
        bytes += bson::serialize_to_raw_document_buf(document)
            .map_err(|_| crate::Error::migration("a document to be inserted cannot be encoded"))?
            .as_bytes()
            .len();
        if at > 0 && (at == CHUNK || bytes > MOST_BYTES) {
            return Ok(at);
        }
    }
    Ok(documents.len())
}

/// With its id in the first place.
fn with_id(document: &Document) -> Document {
    let id = document.get("_id").cloned().unwrap_or_else(|| ObjectId::new().into());
    let mut ordered = Document::new();
    ordered.insert("_id", id);
    ordered.extend(document.clone().into_iter().filter(|(name, _)| name != "_id"));
    ordered
}

impl StepContext<'_> {
    /// What is there already: the document of an earlier attempt, or somebody else's.
    async fn present(&self, store: &dyn Store, key: &Filter) -> Result<Option<Inserted>> {
        let collection = store.collection(&self.counts().collection);
        let read = Find::new(key.clone())
            .sort(Sort::ascending(Field::ID))
            .projection(Projection::Include(Vec::new()));
        let Some(mut found) = collection.find_one(read).await? else { return Ok(None) };
        let id = found.remove("_id").unwrap_or(Bson::Null);
        let ours = self.attempt.is_resumed()
            && journal::inserted(store, &self.attempt.migration, &self.counts().step, &id).await?;
        Ok(Some(if ours { Inserted::New(id) } else { Inserted::Present(id) }))
    }

    /// Writes down and inserts documents, and counts them.
    async fn put(&self, scope: &Scope, documents: Vec<Document>, counts: StepCounts) -> Result<i64> {
        let Self { session, attempt, at } = *self;
        LiveSink::before(session, attempt, scope).await?;
        let noted = self.note(scope, &counts.collection, &inserted(&documents)?).await?;
        scope.collection(&counts.collection).insert_many(documents).await.map_err(unwrapped)?;
        session.boundary(&attempt.migration, scope).await?;
        if !attempt.is_whole() {
            let mut all = attempt.counts.clone();
            all[at] = counts;
            session.touch(scope, &attempt.migration, &all, &attempt.warnings, None).await?;
        }
        Ok(noted)
    }
}

/// That it was the first of a batch tells nobody anything.
fn unwrapped(error: docstore::Error) -> docstore::Error {
    match error {
        docstore::Error::Batch { source, .. } => *source,
        other => other,
    }
}

struct One<'a> {
    ctx: StepContext<'a>,
    key: &'a Filter,
    document: &'a Document,
}

#[async_trait]
impl Batch for One<'_> {
    type Out = (Inserted, i64);

    async fn run(&self, scope: &Scope) -> Result<Self::Out> {
        if let Some(found) = self.ctx.present(scope, self.key).await? {
            return Ok((found, 0));
        }
        let document = with_id(self.document);
        let id = document.get("_id").cloned().unwrap_or(Bson::Null);
        let mut counts = self.ctx.counts().clone();
        counts.inserted = 1;
        let noted = self.ctx.put(scope, vec![document], counts).await?;
        Ok((Inserted::New(id), noted))
    }
}

struct Several<'a> {
    ctx: StepContext<'a>,
    key: &'a [Field],
    documents: &'a [Document],
}

impl Several<'_> {
    /// Those that are not there.
    async fn missing(&self, store: &dyn Store) -> Result<Vec<&Document>> {
        let collection = store.collection(&self.ctx.counts().collection);
        let known = present(&collection, self.key, self.documents).await?;
        let mut seen = known;
        Ok(self.documents.iter().filter(|document| seen.insert(values(self.key, document))).collect())
    }
}

/// The values of a key, comparable.
fn values(key: &[Field], document: &Document) -> String {
    let values: Vec<_> = key.iter().map(|field| document.get(field.as_str())).collect();
    format!("{values:?}")
}

/// The keys among those of some documents that are there.
async fn present(collection: &Collection, key: &[Field], documents: &[Document]) -> Result<HashSet<String>> {
    let value = |document: &Document, field: &Field| document.get(field.as_str()).cloned();
    let filter = match key {
        [field] => {
            let values = documents.iter().map(|document| value(document, field).unwrap_or(Bson::Null));
            Filter::is_in(field.clone(), values)
        }
        fields => Filter::or(documents.iter().map(|document| {
            Filter::and(fields.iter().map(|field| match value(document, field) {
                Some(value) => Filter::eq(field.clone(), value),
                None => Filter::missing(field.clone()),
            }))
        })),
    };
    let read = Find::new(filter).projection(Projection::include(key.to_vec()));
    let found = collection.find(read).await?.documents().await?;
    Ok(found.iter().map(|document| values(key, document)).collect())
}

#[async_trait]
impl Batch for Several<'_> {
    type Out = (StepCounts, i64);

    async fn run(&self, scope: &Scope) -> Result<Self::Out> {
        let missing: Vec<Document> = self.missing(scope).await?.into_iter().map(with_id).collect();
        let mut counts = self.ctx.counts().clone();
        counts.inserted += missing.len() as u64;
        counts.left += (self.documents.len() - missing.len()) as u64;
        if missing.is_empty() {
            return Ok((counts, 0));
        }
        let noted = self.ctx.put(scope, missing, counts.clone()).await?;
        Ok((counts, noted))
    }
}
