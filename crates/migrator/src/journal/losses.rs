use bson::{Bson, Document};
use docstore::{Database, Field, Filter, Find, Sort};

use super::{CHUNK, JOURNAL, Record, by_id, content_hash, entries_of, id_key};
use crate::{Reference, Result};

/// The number of documents that are listed one by one.
const LISTED: usize = 100;

/// A document that a run inserted and that differs now.
struct EditedDocument {
    collection: String,
    now: Document,
    /// The content hash of the inserted document.
    hash: i64,
}

/// The documents that a run inserted and that exist still, of one collection.
struct InsertedDocuments {
    collection: String,
    ids: Vec<Bson>,
}

/// Describes what a rollback would lose: documents that the run inserted and that were edited since, and those that others
/// refer to.
pub(crate) async fn losses(db: &Database, migration: &str, references: &[Reference]) -> Result<Vec<String>> {
    let (mut edited, inserted) = inserted(db, migration).await?;
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
    for inserted in &inserted {
        for reference in references {
            losses.extend(inserted.referred_to(db, reference).await?);
        }
    }
    Ok(losses)
}

impl InsertedDocuments {
    /// Describes the documents that refer to these, if there are any.
    async fn referred_to(&self, db: &Database, reference: &Reference) -> Result<Option<String>> {
        let Reference { collection, field } = *reference;
        let referring = db.collection(collection);
        let mut count = 0;
        for ids in self.ids.chunks(CHUNK / 2) {
            let as_text = ids.iter().filter_map(Bson::as_object_id).map(|id| Bson::from(id.to_hex()));
            let forms = ids.iter().cloned().chain(as_text);
            let refers = Filter::is_in(field, forms);
            // Those that are deleted with them do not count.
            let stays = Filter::is_in(Field::ID, self.ids.iter().cloned()).negated();
            let filter = if collection == self.collection { refers.also(stays) } else { refers };
            count += referring.count(&filter).await?;
        }
        let documents = if count == 1 { "document refers" } else { "documents refer" };
        Ok((count > 0).then(|| {
            format!(
                "deletes documents of {} to which {count} {documents}, by {field} of {collection}",
                self.collection
            )
        }))
    }
}

/// Returns the documents that a run inserted and that exist still: those that differ now, and all of them.
async fn inserted(db: &Database, migration: &str) -> Result<(Vec<EditedDocument>, Vec<InsertedDocuments>)> {
    let inserts = entries_of(migration).also(Filter::eq("kind", "insert"));
    let mut entries =
        db.collection(JOURNAL).find(Find::new(inserts).sort(Sort::ascending(Field::ID))).await?;
    let (mut edited, mut inserted) = (Vec::new(), Vec::<InsertedDocuments>::new());
    while let Some(entry) = entries.next_document().await? {
        let (Ok(name), Some(Record::Inserted { ids, prints })) =
            (entry.get_str("collection"), Record::read(&entry))
        else {
            continue;
        };
        let collection = db.collection(name);
        let mut present = Vec::new();
        for (ids, hashes) in ids.chunks(CHUNK).zip(prints.chunks(CHUNK)) {
            let mut found = by_id(&collection, ids, None).await?;
            for (id, hash) in ids.iter().zip(hashes) {
                let Some(now) = found.remove(&id_key(Some(id))) else { continue };
                present.push(id.clone());
                if content_hash(&now)? != *hash {
                    edited.push(EditedDocument { collection: name.to_owned(), now, hash: *hash });
                }
            }
        }
        match inserted.iter_mut().find(|inserted| inserted.collection == name) {
            Some(inserted) => inserted.ids.append(&mut present),
            None => inserted.push(InsertedDocuments { collection: name.to_owned(), ids: present }),
        }
    }
    Ok((edited, inserted))
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
