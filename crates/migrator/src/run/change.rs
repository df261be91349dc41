use std::collections::BTreeSet;

use bson::{Bson, Document};
use docstore::{Collection, Field, Filter, Projection, Update, Write};

use super::batches::{Page, Part};
use super::id_scan::IdRange;
use super::live::StepContext;
use super::session::Scope;
use super::work::{Change, plain};
use crate::Result;
use crate::journal::{self, After, Record, Sparse};

impl StepContext<'_> {
    /// Changes the open documents of a range.
    pub(super) async fn change(
        &self,
        scope: &Scope,
        collection: &Collection,
        range: &IdRange,
        open: &Filter,
        change: &Change<'_>,
    ) -> Result<Part> {
        let these = range.filter().also(open.clone());
        match change.same() {
            Some(same) if !self.attempt.journal => {
                let updated = collection.update_many(&these, &same).await?.modified;
                Ok(Part { updated, ..Part::default() })
            }
            Some(same) => self.change_alike(scope, collection, these, open, change, &same).await,
            None => self.change_each(scope, collection, these, open, change).await,
        }
    }

    /// The same change for all, written down.
    async fn change_alike(
        &self,
        scope: &Scope,
        collection: &Collection,
        these: Filter,
        open: &Filter,
        change: &Change<'_>,
        same: &Update,
    ) -> Result<Part> {
        let (field, value, empty) = match change {
            Change::Set { field, value, where_missing } => (field, Some(value.clone()), *where_missing),
            Change::Unset { field } => (field, None, false),
            Change::CopyField { .. } | Change::Each { .. } => return Ok(Part::default()),
        };
        // Where there is nothing to be kept the ids say it all.
        let kept = if empty { Vec::new() } else { vec![field.clone()] };
        let page = Page::read(collection, these.clone(), Some(Projection::Include(kept))).await?;
        if page.documents.is_empty() {
            return Ok(Part::default());
        }
        let ids = page.ids();
        let mut before = Sparse::default();
        for (at, document) in page.documents.iter().enumerate() {
            if let Some(had) = document.get(field.as_str()) {
                before.put(at, had.clone());
            }
        }
        let changes = vec![journal::Change {
            field: field.to_string(),
            after: value.map_or(After::Nothing, After::Value),
            before,
        }];
        let record = Record::Fields { ids, changes };
        let noted = self.note(scope, collection.name(), &record).await?;
        let Record::Fields { ids, .. } = record else { return Ok(Part::default()) };
        let updated = if scope.is_transaction() {
            // The transaction sees what was read, and nothing else.
            let last = page.cut.clone().or_else(|| ids.last().cloned()).unwrap_or(Bson::Null);
            let these = these.also(Filter::lte(Field::ID, last));
            collection.update_many(&these, same).await?.modified
        } else if empty {
            let mut updated = 0;
            for ids in ids.chunks(1000) {
                let these = Filter::is_in(Field::ID, ids.iter().cloned()).also(open.clone());
                updated += collection.update_many(&these, same).await?.modified;
            }
            updated
        } else {
            // Somebody may have changed it since it was read; then what was written down is not what it had.
            let fields = [field.clone()];
            let writes = page.documents.iter().map(|now| write(now, &fields, open, same.clone(), false));
            collection.bulk_write(writes.collect()).await?.modified
        };
        Ok(Part { updated, noted, cut: page.cut, ..Part::default() })
    }

    /// A change of its own for each.
    async fn change_each(
        &self,
        scope: &Scope,
        collection: &Collection,
        these: Filter,
        open: &Filter,
        change: &Change<'_>,
    ) -> Result<Part> {
        let page = Page::read(collection, these, Some(change.reads())).await?;
        let step = &self.counts().step;
        let mut updates = Vec::new();
        let mut fields = BTreeSet::new();
        for document in &page.documents {
            let (Some(id), Some(update)) = (document.get("_id"), change.of(document)) else { continue };
            let pairs = plain(step, &update)?;
            fields.extend(pairs.iter().map(|(field, _)| field.as_str().to_owned()));
            if !update.ops().is_empty() {
                updates.push((id.clone(), update));
            }
        }
        let mut part = Part { left: (page.documents.len() - updates.len()) as u64, ..Part::default() };
        part.cut = page.cut;
        if updates.is_empty() {
            return Ok(part);
        }
        let fields: Vec<Field> = fields.iter().map(Field::parse).collect::<Result<_, _>>()?;
        let now = if self.attempt.journal || !scope.is_transaction() {
            had(collection, &updates, &fields).await?
        } else {
            Vec::new()
        };
        // A document that went since it was read changes no more.
        let gone = |at: usize| now.get(at).is_some_and(Option::is_none);
        part.noted = self.note(scope, collection.name(), &record(&updates, &now, &fields)).await?;
        let mut writes = Vec::with_capacity(updates.len());
        for (at, (id, update)) in updates.into_iter().enumerate() {
            match now.get(at).and_then(Option::as_ref) {
                _ if gone(at) => {}
                Some(now) if !scope.is_transaction() => writes.push(write(now, &fields, open, update, false)),
                _ => writes.push(Write::UpdateOne { filter: Filter::id(id), update, upsert: false }),
            }
        }
        part.updated = collection.bulk_write(writes).await?.modified;
        Ok(part)
    }
}

/// What documents have in some fields, in the order of the updates.
async fn had(
    collection: &Collection,
    updates: &[(Bson, Update)],
    fields: &[Field],
) -> Result<Vec<Option<Document>>> {
    let mut all = Vec::with_capacity(updates.len());
    for chunk in updates.chunks(journal::CHUNK) {
        let ids: Vec<Bson> = chunk.iter().map(|(id, _)| id.clone()).collect();
        let mut found = journal::by_id(collection, &ids, Some(Projection::include(fields.to_vec()))).await?;
        all.extend(ids.iter().map(|id| found.remove(&journal::text(Some(id)))));
    }
    Ok(all)
}

fn record(updates: &[(Bson, Update)], now: &[Option<Document>], fields: &[Field]) -> Record {
    let ids = updates.iter().map(|(id, _)| id.clone()).collect();
    let changes = fields.iter().map(|field| {
        let (mut before, mut after) = (Sparse::default(), Sparse::default());
        for (at, (_, update)) in updates.iter().enumerate() {
            let had = now.get(at).and_then(Option::as_ref).and_then(|now| now.get(field.as_str()));
            if let Some(had) = had {
                before.put(at, had.clone());
            }
            // A field that this update leaves alone is the same before and after.
            let op = update.ops().iter().find(|op| op.field() == field);
            let gets = match op {
                Some(docstore::UpdateOp::Set(_, value)) => Some(value),
                Some(_) => None,
                None => had,
            };
            if let Some(gets) = gets {
                after.put(at, gets.clone());
            }
        }
        journal::Change { field: field.to_string(), after: After::Each(after), before }
    });
    Record::Fields { ids, changes: changes.collect() }
}

/// A write that is made only if the document still has what it was read with.
fn write(now: &Document, fields: &[Field], open: &Filter, update: Update, upsert: bool) -> Write {
    let id = now.get("_id").cloned().unwrap_or(Bson::Null);
    let filter = fields.iter().fold(Filter::id(id).also(open.clone()), |filter, field| {
        filter.also(match now.get(field.as_str()) {
            Some(had) => Filter::eq(field.clone(), had.clone()),
            None => Filter::missing(field.clone()),
        })
    });
    Write::UpdateOne { filter, update, upsert }
}
