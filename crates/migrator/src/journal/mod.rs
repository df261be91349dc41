//! The journal: what runs changed, so that it can be rolled back exactly.
//!
//! Each batch writes one entry before its data, in the same transaction where the store has them. The `_id` of an entry
//! is `{migration, n}`, where `n` grows with each batch: the entries of a migration are one range of ids, and they are
//! undone from the last to the first.

/// The documents that a rollback would delete although they were edited, or others refer to them.
mod losses;
/// The content of an entry, and its writer.
mod record;
/// The reverse of an entry's changes.
mod restore;
/// Rolls back a migration, entry by entry.
mod undo;

use std::collections::HashMap;

use bson::{Bson, DateTime, Document, doc};
use docstore::{Collection, Field, Filter, Find, Projection, Sort, Store};

pub(crate) use losses::losses;
pub(crate) use record::{FieldChange, JournalWriter, NewValue, Record, SparseValues};
pub(crate) use undo::UndoOne;

use crate::entry::Entries;
use crate::run::RunSession;
use crate::{Error, Result, Settings, Source, State};

/// The collection of the journal.
pub(crate) const JOURNAL: &str = "_migration_undo";
/// The number of ids in one read or write. The embedded engine seeks up to 500 ids one by one and scans for more.
pub(crate) const CHUNK: usize = 400;

fn key(migration: &str, n: i64) -> Document {
    doc! { "migration": migration, "n": n }
}

/// Returns a filter of all entries of a migration.
fn entries_of(migration: &str) -> Filter {
    let from = doc! { "migration": migration };
    // Ids of migrations contain no control characters, so no other id sorts in between.
    let to = doc! { "migration": format!("{migration}\u{1}") };
    Filter::gte(Field::ID, from).also(Filter::lt(Field::ID, to))
}

/// Returns the number of the last entry, and the size of all entries in bytes.
pub(crate) async fn last(store: &dyn Store, migration: &str) -> Result<(i64, i64)> {
    let read = Find::new(entries_of(migration))
        .sort(Sort::descending(Field::ID))
        .projection(Projection::include(["total"]));
    let Some(entry) = store.collection(JOURNAL).find_one(read).await? else { return Ok((0, 0)) };
    let n = entry.get_document("_id").ok().and_then(|id| id.get_i64("n").ok()).unwrap_or(0);
    Ok((n, entry.get_i64("total").unwrap_or(0)))
}

/// Returns true if an earlier attempt journaled the insertion of this document in this step.
pub(crate) async fn inserted(store: &dyn Store, migration: &str, step: &str, id: &Bson) -> Result<bool> {
    let filter = entries_of(migration)
        .also(Filter::eq("step", step))
        .also(Filter::eq("kind", "insert"))
        .also(Filter::eq("ids", id.clone()));
    let read = Find::new(filter).projection(Projection::id());
    Ok(store.collection(JOURNAL).find_one(read).await?.is_some())
}

/// Reads documents by id, keyed by [`id_key`].
pub(crate) async fn by_id(
    collection: &Collection,
    ids: &[Bson],
    projection: Option<Projection>,
) -> Result<HashMap<String, Document>> {
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(CHUNK) {
        let mut read = Find::new(Filter::is_in(Field::ID, ids.iter().cloned()));
        read.projection.clone_from(&projection);
        let documents = collection.find(read).await?.documents().await?;
        found.extend(documents.into_iter().map(|document| (id_key(document.get("_id")), document)));
    }
    Ok(found)
}

/// Returns a hashable form of an id. Ids of different types differ.
pub(crate) fn id_key(id: Option<&Bson>) -> String {
    format!("{id:?}")
}

/// Returns a filter of the documents whose field has this value, or is missing.
pub(crate) fn has_value(field: Field, value: Option<&Bson>) -> Filter {
    match value {
        Some(value) => Filter::eq(field, value.clone()),
        None => Filter::missing(field),
    }
}

/// Returns a hash of a document's fields and values that does not depend on their order.
pub(crate) fn content_hash(document: &Document) -> Result<i64> {
    let mut sum = 0_u64;
    for (name, value) in document {
        let field = bson::serialize_to_raw_document_buf(&doc! { name: value.clone() })
            .map_err(|_| Error::migration("failed to encode a document"))?;
        sum = sum.wrapping_add(fnv(field.as_bytes()));
    }
    Ok(i64::from_le_bytes(sum.to_le_bytes()))
}

/// FNV-1a. The hash is stored in databases, so it must be the same in every version of this program.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Returns the migrations that were applied longer ago than `journal_keep` and still have a journal.
pub(crate) fn forgettable(entries: &Entries, settings: &Settings, now: DateTime) -> Vec<String> {
    let Some(keep) = settings.journal_keep else { return Vec::new() };
    let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    let before = now.timestamp_millis().saturating_sub(keep);
    entries
        .values()
        .filter(|entry| entry.state == State::Applied && entry.source == Source::Native && entry.journalled)
        .filter(|entry| entry.applied_at.is_some_and(|at| at.timestamp_millis() < before))
        .map(|entry| entry.id.clone())
        .collect()
}

/// Removes the journal of an applied migration. The ledger is updated first, so that a journal that is only partly
/// removed is never used for a rollback.
pub(crate) async fn forget(session: &RunSession<'_>, migration: &str) -> Result<()> {
    session.check_limits().await?;
    session.forget_journal(migration).await?;
    discard(session, migration).await?;
    tracing::info!(migration, "removed the journal of a migration, which is past journal_keep");
    Ok(())
}

/// Removes the journal of a migration that was rolled back by code.
pub(crate) async fn discard(session: &RunSession<'_>, migration: &str) -> Result<()> {
    session.check_limits().await?;
    session.db.collection(JOURNAL).delete_many(&entries_of(migration)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_hash_ignores_field_order() {
        let hash = |document| content_hash(&document).unwrap();
        assert_eq!(hash(doc! { "_id": 1, "a": "x", "b": 2 }), hash(doc! { "b": 2, "_id": 1, "a": "x" }));
        assert_ne!(hash(doc! { "_id": 1, "a": "x" }), hash(doc! { "_id": 1, "a": "y" }));
        assert_ne!(hash(doc! { "a": 1, "b": 2 }), hash(doc! { "a": 2, "b": 1 }));
        assert_ne!(hash(doc! { "a": 1 }), hash(doc! { "a": 1_i64 }));
        // The hash is stored in databases.
        assert_eq!(hash(doc! { "_id": 1 }), -2_576_347_520_252_666_292);
    }
}
