use bson::{Bson, Document};
use docstore::{Field, Filter, Find, Index, Sort, Store};

use super::restore::{delete_inserted, restore, restore_deleted};
use super::{JOURNAL, Record, entries_of};
use crate::run::{Batch, RunSession, Scope};
use crate::{Error, Result, StepCounts};

/// Undoes the last journal entry of a migration and removes it. To be run until no entry is left.
pub(crate) struct UndoOne<'a> {
    pub(crate) session: &'a RunSession<'a>,
    pub(crate) migration: &'a str,
    /// True if inserted documents are deleted even if they were edited.
    pub(crate) confirmed: bool,
    pub(crate) counts: &'a [StepCounts],
    pub(crate) warnings: &'a [String],
}

/// The state of a rollback after an entry.
pub(crate) struct Undone {
    /// True if there was an entry.
    pub(crate) any: bool,
    pub(crate) counts: Vec<StepCounts>,
    pub(crate) warnings: Vec<String>,
}

impl UndoOne<'_> {
    pub(crate) async fn run(&self) -> Result<Undone> {
        // Index changes are made outside of the transaction and before the entry is removed; they can be repeated.
        if let Some(entry) = last(self.session.db, self.migration).await? {
            self.undo_index(&entry).await?;
        }
        self.session.atomically(self.migration, self).await
    }

    async fn undo_index(&self, entry: &Document) -> Result<()> {
        let Ok(collection) = entry.get_str("collection") else { return Ok(()) };
        let db = self.session.db;
        match Record::read(entry) {
            Some(Record::IndexMade { index }) => {
                let index = Index::from_document(&index)?;
                let is_ours =
                    |existing: &Index| existing.name() == index.name() && existing.same_definition(&index);
                if db.list_indexes(collection).await?.iter().any(is_ours) {
                    self.session.check_limits().await?;
                    db.drop_index(collection, index.name()).await?;
                }
            }
            Some(Record::IndexDropped { index }) => {
                self.session.check_limits().await?;
                db.ensure_index(collection, &Index::from_document(&index)?).await?;
            }
            _ => {}
        }
        Ok(())
    }
}

async fn last(store: &dyn Store, migration: &str) -> Result<Option<Document>> {
    let read = Find::new(entries_of(migration)).sort(Sort::descending(Field::ID));
    Ok(store.collection(JOURNAL).find_one(read).await?)
}

impl Batch for UndoOne<'_> {
    type Out = Undone;

    async fn run(&self, scope: &Scope) -> Result<Undone> {
        let Self { session, migration, .. } = self;
        let (mut counts, mut warnings) = (self.counts.to_vec(), self.warnings.to_vec());
        let Some(mut entry) = last(scope, migration).await? else {
            return Ok(Undone { any: false, counts, warnings });
        };
        if !scope.is_transaction() {
            session.touch(scope, migration, &counts, &warnings, None).await?;
            session.boundary(migration, scope).await?;
        }
        let name = entry.get_str("collection").unwrap_or_default().to_owned();
        let record = Record::read(&entry);
        let id = entry.remove("_id").unwrap_or(Bson::Null);
        let Some(record) = record else {
            let remedy = match entry.get_str("kind") {
                Ok("validator_set") => "it set a validator; restore the one before by hand, with `collMod`",
                _ => "this version cannot read it; revert it by hand",
            };
            let text = format!(
                "the journal entry {id} of {name} was kept: {remedy}, then delete the entry from {JOURNAL}"
            );
            return Err(Error::migration(text));
        };
        // The record has a copy of everything large.
        drop(entry);
        let collection = scope.collection(&name);
        let mut counts_of = |step: &str| StepCounts::index_of(&mut counts, step, &name);
        match record {
            Record::Fields { ids, changes } => {
                let at = counts_of("restore fields");
                restore(scope, &collection, &ids, &changes, &mut counts[at]).await?;
            }
            Record::Inserted { ids, prints } => {
                let at = counts_of("delete inserted");
                let kept =
                    delete_inserted(&collection, &ids, &prints, self.confirmed, &mut counts[at]).await?;
                warnings.extend(kept.iter().map(|id| {
                    format!("document {id} of {name} was kept, since it was edited after it was inserted")
                }));
            }
            Record::Deleted { documents } => {
                let at = counts_of("restore deleted");
                let kept = restore_deleted(&collection, &documents, &mut counts[at]).await?;
                warnings.extend(kept.iter().map(|id| {
                    format!("document {id} of {name} was not restored, since another one has its id")
                }));
            }
            Record::IndexMade { .. } => {
                let at = counts_of("drop index");
                counts[at].deleted += 1;
            }
            Record::IndexDropped { .. } => {
                let at = counts_of("create index");
                counts[at].inserted += 1;
            }
        }
        session.boundary(migration, scope).await?;
        scope.collection(JOURNAL).delete_one(&Filter::id(id)).await?;
        session.boundary(migration, scope).await?;
        session.touch(scope, migration, &counts, &warnings, None).await?;
        Ok(Undone { any: true, counts, warnings })
    }
}
