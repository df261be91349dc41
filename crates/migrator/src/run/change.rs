use std::collections::BTreeSet;

use bson::{Bson, Document};
use docstore::{Collection, Field, Filter, Projection, Store, Update, UpdateOp, Write};

use super::batches::{Documents, RangeBatch, RangeOutcome};
use super::session::Scope;
use crate::journal::{self, CHUNK, FieldChange, NewValue, Record, SparseValues};
use crate::operation::{Operation, set_and_unset};
use crate::{Result, StepCounts};

impl RangeBatch<'_> {
    /// Changes the matching documents of a range.
    pub(super) async fn change(
        &self,
        scope: &Scope,
        collection: &Collection,
        matching: Filter,
        counts: &mut StepCounts,
    ) -> Result<RangeOutcome> {
        match self.operation.uniform_update() {
            Some(update) if !self.ctx.attempt.journal => {
                counts.updated += collection.update_many(&matching, &update).await?.modified;
                Ok(RangeOutcome::default())
            }
            Some(update) => self.change_uniformly(scope, collection, matching, update, counts).await,
            None => self.change_each(scope, collection, matching, counts).await,
        }
    }

    /// Makes the same change to all documents, with a journal entry.
    async fn change_uniformly(
        &self,
        scope: &Scope,
        collection: &Collection,
        matching: Filter,
        update: Update,
        counts: &mut StepCounts,
    ) -> Result<RangeOutcome> {
        let Some((field, value)) = self.operation.uniform_change() else {
            return Ok(RangeOutcome::default());
        };
        // Where the field is missing there is no previous value to journal.
        let only_missing = matches!(self.operation, Operation::Set { only_missing: true, .. });
        let journaled = if only_missing { Vec::new() } else { vec![field.clone()] };
        let read =
            Documents::read(collection, matching.clone(), Some(Projection::include(journaled))).await?;
        let ids = read.ids();
        let Some(last) = ids.last().cloned() else { return Ok(RangeOutcome::default()) };
        let mut before = SparseValues::default();
        for (at, document) in read.documents.iter().enumerate() {
            if let Some(value) = document.get(field.as_str()) {
                before.push(at, value.clone());
            }
        }
        let after = value.map_or(NewValue::Unset, NewValue::Set);
        let changes = vec![FieldChange { field: field.to_string(), after, before }];
        let record = Record::Fields { ids, changes };
        let journal_bytes = self.ctx.journal(scope, collection.name(), &record).await?;
        counts.updated += if scope.is_transaction() {
            // The transaction still sees what was read.
            let matching = matching.also(Filter::lte(Field::ID, last));
            collection.update_many(&matching, &update).await?.modified
        } else if only_missing {
            let mut updated = 0;
            for ids in read.ids().chunks(1000) {
                let matching = Filter::is_in(Field::ID, ids.iter().cloned()).also(self.filter.clone());
                updated += collection.update_many(&matching, &update).await?.modified;
            }
            updated
        } else {
            let fields = [field.clone()];
            let writes =
                read.documents.iter().map(|read| self.update_if_unchanged(read, &fields, update.clone()));
            collection.bulk_write(writes.collect()).await?.modified
        };
        Ok(RangeOutcome { journal_bytes, cut: read.cut })
    }

    /// Makes a change of its own to each document.
    async fn change_each(
        &self,
        scope: &Scope,
        collection: &Collection,
        matching: Filter,
        counts: &mut StepCounts,
    ) -> Result<RangeOutcome> {
        let read = Documents::read(collection, matching, Some(self.operation.reads())).await?;
        let mut updates = Vec::new();
        let mut fields = BTreeSet::new();
        for document in &read.documents {
            let Some(update) = self.operation.update_for(document)? else { continue };
            let changes = set_and_unset(&counts.step, &update)?;
            fields.extend(changes.iter().map(|(field, _)| field.as_str().to_owned()));
            if let Some(id) = document.get("_id")
                && !changes.is_empty()
            {
                updates.push((id.clone(), update));
            }
        }
        counts.left += (read.documents.len() - updates.len()) as u64;
        if updates.is_empty() {
            return Ok(RangeOutcome { journal_bytes: 0, cut: read.cut });
        }
        let fields: Vec<Field> = fields.iter().map(Field::parse).collect::<Result<_, _>>()?;
        let is_transaction = scope.is_transaction();
        let mut current = Vec::new();
        if self.ctx.attempt.journal || !is_transaction {
            let ids: Vec<Bson> = updates.iter().map(|(id, _)| id.clone()).collect();
            let mut found =
                journal::by_id(collection, &ids, Some(Projection::include(fields.clone()))).await?;
            current = ids.iter().map(|id| found.remove(&journal::id_key(Some(id)))).collect();
        }
        let record = record(&updates, &current, &fields);
        let journal_bytes = self.ctx.journal(scope, collection.name(), &record).await?;
        let mut writes = Vec::with_capacity(updates.len());
        for (at, (id, update)) in updates.into_iter().enumerate() {
            match current.get(at) {
                // The document was deleted after it was read.
                Some(None) => {}
                Some(Some(current)) if !is_transaction => {
                    writes.push(self.update_if_unchanged(current, &fields, update));
                }
                _ => writes.push(Write::UpdateOne { filter: Filter::id(id), update }),
            }
        }
        counts.updated += collection.bulk_write(writes).await?.modified;
        Ok(RangeOutcome { journal_bytes, cut: read.cut })
    }

    /// Deletes the matching documents of a range.
    pub(super) async fn delete(
        &self,
        scope: &Scope,
        collection: &Collection,
        matching: Filter,
        counts: &mut StepCounts,
    ) -> Result<RangeOutcome> {
        if !self.ctx.attempt.journal {
            counts.deleted += collection.delete_many(&matching).await?;
            return Ok(RangeOutcome::default());
        }
        let read = Documents::read(collection, matching, None).await?;
        if read.documents.is_empty() {
            return Ok(RangeOutcome::default());
        }
        let ids = read.ids();
        let record = Record::Deleted { documents: read.documents };
        let journal_bytes = self.ctx.journal(scope, collection.name(), &record).await?;
        for ids in ids.chunks(CHUNK) {
            let these = Filter::is_in(Field::ID, ids.iter().cloned()).also(self.filter.clone());
            counts.deleted += collection.delete_many(&these).await?;
        }
        Ok(RangeOutcome { journal_bytes, cut: read.cut })
    }

    /// Copies the matching documents of a range.
    pub(super) async fn copy(
        &self,
        scope: &Scope,
        collection: &Collection,
        matching: Filter,
        to: &str,
        counts: &mut StepCounts,
    ) -> Result<RangeOutcome> {
        let read = Documents::read(collection, matching, None).await?;
        let to = scope.collection(to);
        let found = read.documents.len();
        let missing = absent(&to, read.documents).await?;
        counts.left += (found - missing.len()) as u64;
        let mut journal_bytes = 0;
        if !missing.is_empty() {
            counts.inserted += missing.len() as u64;
            journal_bytes = self.ctx.journal(scope, to.name(), &Record::inserted(&missing)?).await?;
            to.insert_many(missing).await?;
        }
        Ok(RangeOutcome { journal_bytes, cut: read.cut })
    }

    /// Returns a write that has no effect if someone changed these fields since the document was read: the journal has
    /// their values as they were read.
    fn update_if_unchanged(&self, read: &Document, fields: &[Field], update: Update) -> Write {
        let id = read.get("_id").cloned().unwrap_or(Bson::Null);
        let pending = Filter::id(id).also(self.filter.clone());
        let filter = fields.iter().fold(pending, |filter, field| {
            filter.also(journal::has_value(field.clone(), read.get(field.as_str())))
        });
        Write::UpdateOne { filter, update }
    }
}

/// Returns the journal record of updates, given the documents that they apply to.
fn record(updates: &[(Bson, Update)], current: &[Option<Document>], fields: &[Field]) -> Record {
    let ids = updates.iter().map(|(id, _)| id.clone()).collect();
    let changes = fields.iter().map(|field| {
        let (mut before, mut after) = (SparseValues::default(), SparseValues::default());
        for (at, (_, update)) in updates.iter().enumerate() {
            let old =
                current.get(at).and_then(Option::as_ref).and_then(|current| current.get(field.as_str()));
            let new = match update.ops().iter().find(|op| op.field() == field) {
                Some(UpdateOp::Set(_, value)) => Some(value),
                Some(_) => None,
                // The update does not touch this field.
                None => old,
            };
            if let Some(value) = old {
                before.push(at, value.clone());
            }
            if let Some(value) = new {
                after.push(at, value.clone());
            }
        }
        FieldChange { field: field.to_string(), after: NewValue::Each(after), before }
    });
    Record::Fields { ids, changes: changes.collect() }
}

/// Returns the documents whose id does not exist in a collection.
async fn absent(to: &Collection, mut documents: Vec<Document>) -> Result<Vec<Document>> {
    let ids: Vec<Bson> = documents.iter().filter_map(|document| document.get("_id").cloned()).collect();
    let found = journal::by_id(to, &ids, Some(Projection::id())).await?;
    documents.retain(|document| !found.contains_key(&journal::id_key(document.get("_id"))));
    Ok(documents)
}
