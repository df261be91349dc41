use std::collections::HashMap;

use bson::{Bson, Document};
use docstore::{Collection, Field, Filter, Find, Projection, Update, Write};

use super::{CHUNK, Change, print};
use crate::run::Scope;
use crate::{Result, StepCounts};

/// The documents of some ids, by the text of the id.
pub(crate) async fn by_id(
    collection: &Collection,
    ids: &[Bson],
    projection: Option<Projection>,
) -> Result<HashMap<String, Document>> {
    let mut read = Find::new(Filter::is_in(Field::ID, ids.iter().cloned()));
    if let Some(projection) = projection {
        read = read.projection(projection);
    }
    let found = collection.find(read).await?.documents().await?;
    Ok(found.into_iter().map(|document| (text(document.get("_id")), document)).collect())
}

/// Ids that differ in type differ in text.
pub(crate) fn text(id: Option<&Bson>) -> String {
    format!("{id:?}")
}

/// Gives fields back what they had, where they still have what the run gave them.
pub(super) async fn restore(
    scope: &Scope,
    collection: &Collection,
    ids: &[Bson],
    changes: &[Change],
    counts: &mut StepCounts,
) -> Result<()> {
    let fields = changes.iter().map(|c| Field::parse(&c.field)).collect::<Result<Vec<_>, _>>()?;
    for start in (0..ids.len()).step_by(CHUNK) {
        let chunk = &ids[start..ids.len().min(start + CHUNK)];
        let found = by_id(collection, chunk, Some(Projection::include(fields.clone()))).await?;
        let mut updates = Vec::with_capacity(chunk.len());
        for (at, id) in (start..).zip(chunk) {
            match found.get(&text(Some(id))) {
                Some(now) => match back(at, now, &fields, changes, scope.is_transaction()) {
                    Back::Update(condition, update) => updates.push((id, condition, update)),
                    Back::Left => counts.left += 1,
                    Back::Same => {}
                },
                None => counts.left += 1,
            }
        }
        counts.updated += collection.bulk_write(writes(updates)).await?.modified;
    }
    Ok(())
}

enum Back {
    Update(Filter, Update),
    /// It has something else by now.
    Left,
    /// It has what it had: the run that wrote it down died before it changed it, or a later entry told the same.
    Same,
}

fn back(at: usize, now: &Document, fields: &[Field], changes: &[Change], alone: bool) -> Back {
    let (mut update, mut condition, mut left) = (Update::new(), Filter::All, false);
    for (field, change) in fields.iter().zip(changes) {
        let (now, after, before) = (now.get(&change.field), change.after(at), change.before.get(at));
        if now == before {
            continue;
        }
        if now != after {
            left = true;
            continue;
        }
        update = match before {
            Some(before) => update.set(field.clone(), before.clone()),
            None => update.unset(field.clone()),
        };
        if !alone {
            condition = condition.also(match after {
                Some(after) => Filter::eq(field.clone(), after.clone()),
                None => Filter::missing(field.clone()),
            });
        }
    }
    match (update.ops().is_empty(), left) {
        (false, _) => Back::Update(condition, update),
        (true, true) => Back::Left,
        (true, false) => Back::Same,
    }
}

/// One write for all if they are alike.
fn writes(updates: Vec<(&Bson, Filter, Update)>) -> Vec<Write> {
    let alike = updates.windows(2).all(|two| two[0].2 == two[1].2 && two[0].1 == two[1].1);
    match updates.first() {
        Some((_, condition, update)) if alike => {
            let ids = Filter::is_in(Field::ID, updates.iter().map(|(id, ..)| (*id).clone()));
            vec![Write::UpdateMany { filter: ids.also(condition.clone()), update: update.clone() }]
        }
        _ => updates
            .into_iter()
            .map(|(id, condition, update)| Write::UpdateOne {
                filter: Filter::id(id.clone()).also(condition),
                update,
                upsert: false,
            })
            .collect(),
    }
}

/// Deletes documents that a run inserted; those that were edited since only if that is confirmed. Returns the ids of
/// those that were kept.
pub(super) async fn remove(
    collection: &Collection,
    ids: &[Bson],
    prints: &[i64],
    confirmed: bool,
    counts: &mut StepCounts,
) -> Result<Vec<Bson>> {
    let mut kept = Vec::new();
    for (ids, prints) in ids.chunks(CHUNK).zip(prints.chunks(CHUNK)) {
        let found = by_id(collection, ids, None).await?;
        let mut going = Vec::new();
        for (id, known) in ids.iter().zip(prints) {
            let Some(now) = found.get(&text(Some(id))) else { continue };
            if confirmed || print(now)? == *known {
                going.push(id.clone());
            } else {
                kept.push(id.clone());
            }
        }
        counts.deleted += collection.delete_many(&Filter::is_in(Field::ID, going)).await?;
    }
    counts.left += kept.len() as u64;
    Ok(kept)
}

/// Inserts documents that a run deleted. Returns the ids of those that somebody made anew, other than they were.
pub(super) async fn return_deleted(
    collection: &Collection,
    documents: Vec<Document>,
    counts: &mut StepCounts,
) -> Result<Vec<Bson>> {
    let mut kept = Vec::new();
    let mut rest = documents.into_iter();
    loop {
        let chunk: Vec<Document> = rest.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            counts.left += kept.len() as u64;
            return Ok(kept);
        }
        let ids: Vec<Bson> = chunk.iter().filter_map(|document| document.get("_id").cloned()).collect();
        let found = by_id(collection, &ids, None).await?;
        let mut gone = Vec::new();
        for document in chunk {
            match found.get(&text(document.get("_id"))) {
                None => gone.push(document),
                Some(now) if *now == document => {}
                Some(_) => kept.extend(document.get("_id").cloned()),
            }
        }
        counts.inserted += gone.len() as u64;
        collection.insert_many(gone).await?;
    }
}
