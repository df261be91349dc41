use bson::Document;
use docstore::{Database, Field, Filter, Find, Sort};

use super::restore::{by_id, text};
use super::{CHUNK, JOURNAL, Record, of, print};
use crate::Result;

/// So many are named one by one.
const NAMED: usize = 100;

/// A document that a run inserted and that is another one by now.
struct Changed {
    collection: String,
    now: Document,
    print: i64,
}

/// What deleting the documents that a run inserted would lose: those that were edited since.
pub(crate) async fn losses(db: &Database, migration: &str) -> Result<Vec<String>> {
    let mut changed = differing(db, migration).await?;
    if !changed.is_empty() {
        changed = after_its_own(db, migration, changed).await?;
    }
    let mut losses: Vec<String> = changed
        .iter()
        .take(NAMED)
        .filter_map(|Changed { collection, now, .. }| {
            let id = now.get("_id")?;
            Some(format!(
                "deletes the document {id} of {collection}, which was changed since {migration} inserted it"
            ))
        })
        .collect();
    if changed.len() > NAMED {
        losses.push(format!("deletes {} more documents that were changed since", changed.len() - NAMED));
    }
    Ok(losses)
}

async fn differing(db: &Database, migration: &str) -> Result<Vec<Changed>> {
    let inserts = of(migration).also(Filter::eq("kind", "insert"));
    let mut entries =
        db.collection(JOURNAL).find(Find::new(inserts).sort(Sort::ascending(Field::ID))).await?;
    let mut changed = Vec::new();
    while let Some(entry) = entries.next_document().await? {
        let (Ok(name), Some(Record::Inserted { ids, prints })) =
            (entry.get_str("collection"), Record::read(&entry))
        else {
            continue;
        };
        let collection = db.collection(name);
        for (ids, prints) in ids.chunks(CHUNK).zip(prints.chunks(CHUNK)) {
            let mut found = by_id(&collection, ids, None).await?;
            for (id, known) in ids.iter().zip(prints) {
                let Some(now) = found.remove(&text(Some(id))) else { continue };
                if print(&now)? != *known {
                    changed.push(Changed { collection: name.to_owned(), now, print: *known });
                }
            }
        }
    }
    Ok(changed)
}

/// Leaves out those that only the migration itself changed after it had inserted them: its undo goes back before that
/// first.
async fn after_its_own(db: &Database, migration: &str, mut changed: Vec<Changed>) -> Result<Vec<Changed>> {
    let fields = of(migration).also(Filter::eq("kind", "fields"));
    let mut entries =
        db.collection(JOURNAL).find(Find::new(fields).sort(Sort::descending(Field::ID))).await?;
    while let Some(entry) = entries.next_document().await? {
        let (Ok(name), Some(Record::Fields { ids, changes })) =
            (entry.get_str("collection"), Record::read(&entry))
        else {
            continue;
        };
        for Changed { now, .. } in changed.iter_mut().filter(|c| c.collection == name) {
            let Some(at) = ids.iter().position(|id| Some(id) == now.get("_id")) else { continue };
            for change in &changes {
                if now.get(&change.field) != change.after(at) {
                    continue;
                }
                match change.before.get(at) {
                    Some(before) => now.insert(change.field.clone(), before.clone()),
                    None => now.remove(&change.field),
                };
            }
        }
    }
    let mut edited = Vec::new();
    for one in changed {
        if print(&one.now)? != one.print {
            edited.push(one);
        }
    }
    Ok(edited)
}
