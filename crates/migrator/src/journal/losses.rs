use bson::Document;
use docstore::{Database, Field, Filter, Find, Sort};

use super::{CHUNK, JOURNAL, Record, by_id, content_hash, entries_of, id_key};
use crate::Result;

/// The number of documents that are listed one by one.
const LISTED: usize = 100;

/// A document that a run inserted and that differs now.
struct EditedDocument {
    collection: String,
    now: Document,
    /// The content hash of the inserted document.
    hash: i64,
}

/// Describes what a rollback would lose: documents that the run inserted and that were edited since.
pub(crate) async fn losses(db: &Database, migration: &str) -> Result<Vec<String>> {
    let mut edited = inserted_and_changed(db, migration).await?;
    if !edited.is_empty() {
        edited = edited_by_others(db, migration, edited).await?;
    }
    let mut losses: Vec<String> = edited
        .iter()
        .take(LISTED)
        .filter_map(|EditedDocument { collection, now, .. }| {
            let id = now.get("_id")?;
            Some(format!(
                "deletes document {id} of {collection}, which was edited after {migration} inserted it"
            ))
        })
        .collect();
    if edited.len() > LISTED {
        losses.push(format!("deletes {} more documents that were edited", edited.len() - LISTED));
    }
    Ok(losses)
}

async fn inserted_and_changed(db: &Database, migration: &str) -> Result<Vec<EditedDocument>> {
    let inserts = entries_of(migration).also(Filter::eq("kind", "insert"));
    let mut entries =
        db.collection(JOURNAL).find(Find::new(inserts).sort(Sort::ascending(Field::ID))).await?;
    let mut edited = Vec::new();
    while let Some(entry) = entries.next_document().await? {
        let (Ok(name), Some(Record::Inserted { ids, prints })) =
            (entry.get_str("collection"), Record::read(&entry))
        else {
            continue;
        };
        let collection = db.collection(name);
        for (ids, hashes) in ids.chunks(CHUNK).zip(prints.chunks(CHUNK)) {
            let mut found = by_id(&collection, ids, None).await?;
            for (id, hash) in ids.iter().zip(hashes) {
                let Some(now) = found.remove(&id_key(Some(id))) else { continue };
                if content_hash(&now)? != *hash {
                    edited.push(EditedDocument { collection: name.to_owned(), now, hash: *hash });
                }
            }
        }
    }
    Ok(edited)
}

/// Removes documents that only the migration itself changed after it inserted them: its rollback reverts those changes
/// first.
async fn edited_by_others(
    db: &Database,
    migration: &str,
    mut changed: Vec<EditedDocument>,
) -> Result<Vec<EditedDocument>> {
    let fields = entries_of(migration).also(Filter::eq("kind", "fields"));
    let mut entries =
        db.collection(JOURNAL).find(Find::new(fields).sort(Sort::descending(Field::ID))).await?;
    while let Some(entry) = entries.next_document().await? {
        let (Ok(name), Some(Record::Fields { ids, changes })) =
            (entry.get_str("collection"), Record::read(&entry))
        else {
            continue;
        };
        for EditedDocument { now, .. } in changed.iter_mut().filter(|c| c.collection == name) {
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
    for edit in changed {
        if content_hash(&edit.now)? != edit.hash {
            edited.push(edit);
        }
    }
    Ok(edited)
}
