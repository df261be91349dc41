use bson::{Bson, Document};
use docstore::{Collection, Field, Filter, Projection, Update, Write};

use super::{CHUNK, FieldChange, by_id, content_hash, has_value, id_key};
use crate::run::Scope;
use crate::{Result, StepCounts};

/// Restores the previous values of fields that still have the value that the run set.
pub(super) async fn restore(
    scope: &Scope,
    collection: &Collection,
    ids: &[Bson],
    changes: &[FieldChange],
    counts: &mut StepCounts,
) -> Result<()> {
    let fields = changes.iter().map(|c| Field::parse(&c.field)).collect::<Result<Vec<_>, _>>()?;
    for start in (0..ids.len()).step_by(CHUNK) {
        let chunk = &ids[start..ids.len().min(start + CHUNK)];
        let found = by_id(collection, chunk, Some(Projection::include(fields.clone()))).await?;
        let mut updates = Vec::with_capacity(chunk.len());
        for (at, id) in (start..).zip(chunk) {
            match found.get(&id_key(Some(id))) {
                Some(now) => match reverse(at, now, &fields, changes, scope.is_transaction()) {
                    Reversal::Update(condition, update) => updates.push((id, condition, update)),
                    Reversal::Edited => counts.left += 1,
                    Reversal::Unchanged => {}
                },
                None => counts.left += 1,
            }
        }
        counts.updated += collection.bulk_write(writes(updates)).await?.modified;
    }
    Ok(())
}

/// The reversal of one document's changes.
enum Reversal {
    /// An update, and the condition under which it applies.
    Update(Filter, Update),
    /// Nothing, since someone changed the document after the run.
    Edited,
    /// Nothing, since it has its previous values: the run ended between journal and change, or a later entry recorded the
    /// same change.
    Unchanged,
}

fn reverse(
    at: usize,
    now: &Document,
    fields: &[Field],
    changes: &[FieldChange],
    is_transaction: bool,
) -> Reversal {
    let (mut update, mut condition, mut edited) = (Update::new(), Filter::All, false);
    for (field, change) in fields.iter().zip(changes) {
        let (now, after, before) = (now.get(&change.field), change.after(at), change.before.get(at));
        if now == before {
            continue;
        }
        if now != after {
            edited = true;
            continue;
        }
        update = match before {
            Some(before) => update.set(field.clone(), before.clone()),
            None => update.unset(field.clone()),
        };
        if !is_transaction {
            condition = condition.also(has_value(field.clone(), after));
        }
    }
    match (update.ops().is_empty(), edited) {
        (false, _) => Reversal::Update(condition, update),
        (true, true) => Reversal::Edited,
        (true, false) => Reversal::Unchanged,
    }
}

/// Returns the writes of updates: a single one if all are the same.
fn writes(updates: Vec<(&Bson, Filter, Update)>) -> Vec<Write> {
    let same = updates.windows(2).all(|two| two[0].2 == two[1].2 && two[0].1 == two[1].1);
    match updates.first() {
        Some((_, condition, update)) if same => {
            let ids = Filter::is_in(Field::ID, updates.iter().map(|(id, ..)| (*id).clone()));
            vec![Write::UpdateMany { filter: ids.also(condition.clone()), update: update.clone() }]
        }
        _ => updates
            .into_iter()
            .map(|(id, condition, update)| Write::UpdateOne {
                filter: Filter::id(id.clone()).also(condition),
                update,
            })
            .collect(),
    }
}

/// Deletes documents that a run inserted, including edited ones only if `confirmed`. Returns the ids of those it keeps.
pub(super) async fn delete_inserted(
    collection: &Collection,
    ids: &[Bson],
    prints: &[i64],
    confirmed: bool,
    counts: &mut StepCounts,
) -> Result<Vec<Bson>> {
    let mut kept = Vec::new();
    for (ids, prints) in ids.chunks(CHUNK).zip(prints.chunks(CHUNK)) {
        let found = by_id(collection, ids, None).await?;
        let mut deleted = Vec::new();
        for (id, known) in ids.iter().zip(prints) {
            let Some(now) = found.get(&id_key(Some(id))) else { continue };
            if confirmed || content_hash(now)? == *known {
                deleted.push(id.clone());
            } else {
                kept.push(id.clone());
            }
        }
        counts.deleted += collection.delete_many(&Filter::is_in(Field::ID, deleted)).await?;
    }
    counts.left += kept.len() as u64;
    Ok(kept)
}

/// Inserts documents that a run deleted. Returns the ids that meanwhile belong to different documents.
pub(super) async fn restore_deleted(
    collection: &Collection,
    documents: &[Document],
    counts: &mut StepCounts,
) -> Result<Vec<Bson>> {
    let mut kept = Vec::new();
    for chunk in documents.chunks(CHUNK) {
        let ids: Vec<Bson> = chunk.iter().filter_map(|document| document.get("_id").cloned()).collect();
        let found = by_id(collection, &ids, None).await?;
        let mut missing = Vec::new();
        for document in chunk {
            match found.get(&id_key(document.get("_id"))) {
                None => missing.push(document.clone()),
                Some(now) if now == document => {}
                Some(_) => kept.extend(document.get("_id").cloned()),
            }
        }
        counts.inserted += missing.len() as u64;
        collection.insert_many(missing).await?;
    }
    counts.left += kept.len() as u64;
    Ok(kept)
}
