use std::collections::BTreeMap;

use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::{Bson, Document};
use docstore::{Field, Filter, Find, Projection, Sort, Store, Update, Write};

use super::BATCH;
use super::pages::Pages;
use super::up::{Attempt, Inserted};
use crate::entry::id_of;
use crate::journal::{self, JOURNAL};
use crate::session::{Batch, Scope, Session};
use crate::{Result, StepCounts};

/// What a step changes, and how far it has come.
pub(super) struct Changes<'a> {
    /// The documents that are still to be changed.
    open: &'a Filter,
    field: &'a Field,
    value: &'a Bson,
    pub(super) pages: Pages,
}

impl<'a> Changes<'a> {
    pub(super) fn new(open: &'a Filter, field: &'a Field, value: &'a Bson) -> Self {
        Self { open, field, value, pages: Pages::default() }
    }
}

/// Sets a field on the next page of documents.
pub(super) struct FieldBatch<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) attempt: &'a Attempt,
    /// Which of the attempt's counts are this step's.
    pub(super) at: usize,
    pub(super) changes: &'a Changes<'a>,
}

pub(super) struct Changed {
    pub(super) changed: u64,
    pub(super) pages: Pages,
}

#[async_trait]
impl Batch for FieldBatch<'_> {
    type Out = Changed;

    async fn run(&self, scope: &Scope) -> Result<Changed> {
        let Self { session, attempt, .. } = *self;
        let Changes { open, field, value, ref pages } = *self.changes;
        let migration = &attempt.migration;
        let collection = scope.collection(&attempt.counts[self.at].collection);
        let read = Find::new(pages.filter(open))
            .sort(Sort::ascending(Field::ID))
            .limit(BATCH as u64)
            .projection(Projection::include([field.clone()]));
        let page = collection.find(read).await?.documents().await?;
        let ids: Vec<Bson> = page.iter().filter_map(|document| document.get("_id").cloned()).collect();
        let mut pages = pages.clone();
        pages.advance(ids.iter(), BATCH);
        if page.is_empty() {
            return Ok(Changed { changed: 0, pages });
        }
        if !scope.is_transaction() {
            session.touch(scope, migration, &attempt.counts, &attempt.warnings).await?;
            session.boundary(migration, scope);
        }
        self.journal(scope, &page).await?;
        session.boundary(migration, scope);
        let writes = page.iter().filter_map(|document| {
            let same = match document.get(field.as_str()) {
                Some(before) => Filter::eq(field.clone(), before.clone()),
                None => Filter::missing(field.clone()),
            };
            let filter = Filter::id(document.get("_id")?.clone()).also(open.clone()).also(same);
            Some(Write::UpdateOne {
                filter,
                update: Update::new().set(field.clone(), value.clone()),
                upsert: false,
            })
        });
        let changed = collection.bulk_write(writes.collect()).await?.modified;
        session.boundary(migration, scope);
        let mut counts = attempt.counts.clone();
        counts[self.at].updated += changed;
        session.touch(scope, migration, &counts, &attempt.warnings).await?;
        Ok(Changed { changed, pages })
    }
}

impl FieldBatch<'_> {
    /// Writes down what the documents of a page have, before it changes.
    async fn journal(&self, scope: &Scope, page: &[Document]) -> Result<()> {
        let Changes { field, value, .. } = *self.changes;
        let counts = &self.attempt.counts[self.at];
        let key = |document: &Document| {
            let id = document.get("_id").cloned().unwrap_or(Bson::Null);
            journal::field_key(&self.attempt.migration, &counts.collection, &id, field)
        };
        let journal = scope.collection(JOURNAL);
        let keys: Vec<Bson> = page.iter().map(|document| key(document).into()).collect();
        let known = journal.find(Find::new(Filter::is_in(Field::ID, keys))).await?.documents().await?;
        let known: BTreeMap<String, Document> =
            known.into_iter().map(|entry| (id_of(&entry), entry)).collect();
        let writes = page.iter().map(|document| {
            let (key, now) = (key(document), document.get(field.as_str()));
            // If what is there is what an earlier step of this migration set, the undo goes back before that.
            let before = match known.get(&Bson::from(key.clone()).to_string()) {
                Some(entry) if now.is_some() && entry.get("set") == now => entry.get("before"),
                _ => now,
            };
            journal::field_entry(key, before, value, &self.session.runner.run_id)
        });
        journal.bulk_write(writes.collect()).await?;
        Ok(())
    }
}

/// Inserts one document.
pub(super) struct InsertBatch<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) attempt: &'a Attempt,
    /// Which of the attempt's counts are this step's.
    pub(super) at: usize,
    pub(super) key: &'a Filter,
    pub(super) document: &'a Document,
}

impl InsertBatch<'_> {
    fn counts(&self) -> &StepCounts {
        &self.attempt.counts[self.at]
    }

    /// What is there already: the document of an earlier attempt, or somebody else's.
    pub(super) async fn present(&self, store: &dyn Store) -> Result<Option<Inserted>> {
        let collection = store.collection(&self.counts().collection);
        let read = Find::new(self.key.clone()).sort(Sort::ascending(Field::ID));
        let Some(found) = collection.find_one(read).await? else { return Ok(None) };
        let id = found.get("_id").cloned().unwrap_or(Bson::Null);
        let ours = self.planned_id(store).await? == Some(id.clone());
        Ok(Some(if ours { Inserted::New(id) } else { Inserted::Present(id) }))
    }

    /// The id that an earlier attempt gave, or was about to give, the document.
    async fn planned_id(&self, store: &dyn Store) -> Result<Option<Bson>> {
        let key = journal::insert_key(&self.attempt.migration, &self.counts().step);
        let entry = store.collection(JOURNAL).find_one(Find::new(Filter::id(key))).await?;
        Ok(entry.and_then(|entry| entry.get_document("document").ok()?.get("_id").cloned()))
    }
}

#[async_trait]
impl Batch for InsertBatch<'_> {
    type Out = (Inserted, StepCounts);

    async fn run(&self, scope: &Scope) -> Result<Self::Out> {
        let Self { session, attempt, .. } = *self;
        let migration = &attempt.migration;
        let mut counts = attempt.counts.clone();
        if let Some(found) = self.present(scope).await? {
            return Ok((found, counts.swap_remove(self.at)));
        }
        if !scope.is_transaction() {
            session.touch(scope, migration, &counts, &attempt.warnings).await?;
            session.boundary(migration, scope);
        }
        let id = match self.document.get("_id") {
            Some(id) => id.clone(),
            None => self.planned_id(scope).await?.unwrap_or_else(|| ObjectId::new().into()),
        };
        let mut document = Document::new();
        document.insert("_id", id.clone());
        document.extend(self.document.clone().into_iter().filter(|(name, _)| name != "_id"));
        let StepCounts { step, collection, .. } = self.counts();
        let key = journal::insert_key(migration, step);
        let entry = journal::insert_entry(key, collection, &document, &session.runner.run_id);
        scope.collection(JOURNAL).bulk_write(vec![entry]).await?;
        session.boundary(migration, scope);
        scope.collection(collection).insert_one(document).await?;
        session.boundary(migration, scope);
        counts[self.at].inserted += 1;
        session.touch(scope, migration, &counts, &attempt.warnings).await?;
        Ok((Inserted::New(id), counts.swap_remove(self.at)))
    }
}
