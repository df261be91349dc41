use async_trait::async_trait;
use bson::{Bson, Document};
use docstore::{Field, Filter, Find, Index, Sort, Store};

use super::restore::{remove, restore, return_deleted};
use super::{JOURNAL, Record, counts_of, of};
use crate::run::{Batch, RunSession, Scope};
use crate::{Result, StepCounts};

/// Takes back the last entry of a migration, and removes it. Run until there is none.
pub(crate) struct UndoOne<'a> {
    pub(crate) session: &'a RunSession<'a>,
    pub(crate) migration: &'a str,
    /// Whether documents that were edited since they were inserted are deleted all the same.
    pub(crate) confirmed: bool,
    pub(crate) counts: &'a [StepCounts],
    pub(crate) warnings: &'a [String],
}

/// What was done so far.
pub(crate) struct Undone {
    /// Whether there was an entry.
    pub(crate) any: bool,
    pub(crate) counts: Vec<StepCounts>,
    pub(crate) warnings: Vec<String>,
}

impl UndoOne<'_> {
    /// Takes it back.
    pub(crate) async fn run(&self) -> Result<Undone> {
        // What is about an index is done outside of transactions, and before its entry goes: it can be done twice.
        if let Some(entry) = last(self.session.db, self.migration).await? {
            self.index(&entry).await?;
        }
        self.session.atomically(self.migration, self).await
    }

    async fn index(&self, entry: &Document) -> Result<()> {
        let Ok(collection) = entry.get_str("collection") else { return Ok(()) };
        let db = self.session.db;
        match Record::read(entry) {
            Some(Record::IndexMade { index }) => {
                let index = Index::from_document(&index)?;
                let there = db.list_indexes(collection).await?;
                if there.iter().any(|there| there.name() == index.name() && there.same_definition(&index)) {
                    self.session.may_go_on().await?;
                    db.drop_index(collection, index.name()).await?;
                }
            }
            Some(Record::IndexDropped { index }) => {
                self.session.may_go_on().await?;
                db.ensure_index(collection, &Index::from_document(&index)?).await?;
            }
            _ => {}
        }
        Ok(())
    }
}

async fn last(store: &dyn Store, migration: &str) -> Result<Option<Document>> {
    let read = Find::new(of(migration)).sort(Sort::descending(Field::ID));
    Ok(store.collection(JOURNAL).find_one(read).await?)
}

#[async_trait]
impl Batch for UndoOne<'_> {
    type Out = Undone;

    async fn run(&self, scope: &Scope) -> Result<Undone> {
        let mut done = Undone { any: false, counts: self.counts.to_vec(), warnings: self.warnings.to_vec() };
        let Some(mut entry) = last(scope, self.migration).await? else { return Ok(done) };
        done.any = true;
        if !scope.is_transaction() {
            self.session.touch(scope, self.migration, &done.counts, &done.warnings, None).await?;
            self.session.boundary(self.migration, scope).await?;
        }
        let record = Record::read(&entry);
        let collection = entry.get_str("collection").unwrap_or_default().to_owned();
        let id = entry.remove("_id");
        let unreadable = Record::unreadable(&entry);
        // The record has a copy of what is large.
        drop(entry);
        let documents = scope.collection(&collection);
        let Undone { counts, warnings, .. } = &mut done;
        match record {
            Some(Record::Fields { ids, changes }) => {
                let counts = counts_of(counts, "restore", &collection);
                restore(scope, &documents, &ids, &changes, counts).await?;
            }
            Some(Record::Inserted { ids, prints }) => {
                let counts = counts_of(counts, "delete", &collection);
                let kept = remove(&documents, &ids, &prints, self.confirmed, counts).await?;
                warnings.extend(kept.iter().map(|id| {
                    format!("the document {id} of {collection} was kept, since it was changed after it was inserted")
                }));
            }
            Some(Record::Deleted { documents: deleted }) => {
                let counts = counts_of(counts, "return", &collection);
                let kept = return_deleted(&documents, deleted, counts).await?;
                warnings.extend(kept.iter().map(|id| {
                    format!("the document {id} of {collection} was not brought back, since there is another with its id")
                }));
            }
            Some(Record::IndexMade { .. }) => counts_of(counts, "drop the index", &collection).deleted += 1,
            Some(Record::IndexDropped { .. }) => {
                counts_of(counts, "make the index", &collection).inserted += 1;
            }
            None => {
                let id = id.clone().unwrap_or(Bson::Null);
                warnings.push(format!("the journal entry {id} was skipped: {unreadable}"));
            }
        }
        self.session.boundary(self.migration, scope).await?;
        if let Some(id) = id {
            scope.collection(JOURNAL).delete_one(&Filter::id(id)).await?;
        }
        self.session.boundary(self.migration, scope).await?;
        self.session.touch(scope, self.migration, &done.counts, &done.warnings, None).await?;
        Ok(done)
    }
}
