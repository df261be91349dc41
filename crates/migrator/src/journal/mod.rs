/// What deleting would lose.
mod losses;
/// Entries as they are kept.
mod record;
/// Taking back what one entry tells.
mod restore;
/// The journals of long ago.
mod retention;
/// Taking back a migration.
mod undo;
/// Writing down what is about to change.
mod writer;

use bson::{Bson, Document, doc};
use docstore::{Field, Filter, Find, Projection, Sort, Store};

pub(crate) use losses::losses;
pub(crate) use record::{After, Change, Record, Sparse};
pub(crate) use restore::{by_id, text};
pub(crate) use retention::{discard, forget, forgettable};
pub(crate) use undo::UndoOne;
pub(crate) use writer::JournalWriter;

use crate::{Result, StepCounts};

/// What runs changed, one document for each batch. Its `_id` is `{migration, n}`, and `n` grows with each batch, so a
/// migration's entries are one range of ids, and the last one is taken back first.
pub(crate) const JOURNAL: &str = "_migration_undo";
/// So many documents of one entry are read or changed at once: the embedded engine looks up no more than 500 ids one by
/// one.
pub(crate) const CHUNK: usize = 400;

fn key(migration: &str, n: i64) -> Document {
    doc! { "migration": migration, "n": n }
}

/// All entries of a migration.
fn of(migration: &str) -> Filter {
    let from = doc! { "migration": migration };
    // No id of a migration holds a control character, so none comes between.
    let to = doc! { "migration": format!("{migration}\u{1}") };
    Filter::gte(Field::ID, from).also(Filter::lt(Field::ID, to))
}

/// The number of the last entry, and how many bytes all of them have.
pub(crate) async fn last(store: &dyn Store, migration: &str) -> Result<(i64, i64)> {
    let read =
        Find::new(of(migration)).sort(Sort::descending(Field::ID)).projection(Projection::include(["total"]));
    let Some(entry) = store.collection(JOURNAL).find_one(read).await? else { return Ok((0, 0)) };
    let n = entry.get_document("_id").ok().and_then(|id| id.get_i64("n").ok()).unwrap_or(0);
    Ok((n, entry.get_i64("total").unwrap_or(0)))
}

/// Whether an earlier attempt inserted this document in this step, or was about to.
pub(crate) async fn inserted(store: &dyn Store, migration: &str, step: &str, id: &Bson) -> Result<bool> {
    let filter = of(migration)
        .also(Filter::eq("step", step))
        .also(Filter::eq("kind", "insert"))
        .also(Filter::eq("ids", id.clone()));
    let read = Find::new(filter).projection(Projection::Include(Vec::new()));
    Ok(store.collection(JOURNAL).find_one(read).await?.is_some())
}

/// A number that two documents share only if they are the same but for the order of their fields.
pub(crate) fn print(document: &Document) -> Result<i64> {
    let mut sum = 0_u64;
    for (name, value) in document {
        let one = bson::serialize_to_raw_document_buf(&doc! { name: value.clone() })
            .map_err(|_| crate::Error::migration("a document cannot be encoded"))?;
        sum = sum.wrapping_add(fnv(one.as_bytes()));
    }
    Ok(i64::from_le_bytes(sum.to_le_bytes()))
}

/// FNV-1a: it is kept in databases, so it must be the same in every version of this program.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The counts of a step, made if they are not there.
pub(crate) fn counts_of<'a>(
    list: &'a mut Vec<StepCounts>,
    step: &str,
    collection: &str,
) -> &'a mut StepCounts {
    let at = list.iter().position(|c| c.step == step && c.collection == collection).unwrap_or_else(|| {
        list.push(StepCounts::new(step, collection));
        list.len() - 1
    });
    &mut list[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_print_is_of_names_and_values_and_not_of_their_order() {
        let of = |document| print(&document).unwrap();
        assert_eq!(of(doc! { "_id": 1, "a": "x", "b": 2 }), of(doc! { "b": 2, "_id": 1, "a": "x" }));
        assert_ne!(of(doc! { "_id": 1, "a": "x" }), of(doc! { "_id": 1, "a": "y" }));
        assert_ne!(of(doc! { "a": 1, "b": 2 }), of(doc! { "a": 2, "b": 1 }));
        assert_ne!(of(doc! { "a": 1 }), of(doc! { "a": 1_i64 }));
        // It is in databases.
        assert_eq!(of(doc! { "_id": 1 }), -2_576_347_520_252_666_292);
    }
}
