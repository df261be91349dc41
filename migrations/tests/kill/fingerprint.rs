use std::collections::BTreeMap;

use docstore::Database;
use docstore::bson::Document;
use migrator::rehearsal::{GeneratedIds, KnownIds};

/// Returns the state that must not depend on interruptions: all content and the ledger, with generated ids replaced by
/// stable names.
pub(crate) async fn fingerprint(db: &Database) -> BTreeMap<String, Vec<Document>> {
    let mut all = testkit::dump!(db);
    // The history and the lease differ between runs by design.
    all.remove("_migration_log");
    all.remove("_migration_lock");
    let names = GeneratedIds::read(db, &KnownIds::default()).await.unwrap();
    for entry in all.get_mut("_migrations").into_iter().flatten() {
        for key in
            ["attempts", "batches", "fence", "run_id", "applied_run", "pid", "duration_ms", "started_at"]
        {
            entry.remove(key);
        }
        // Without transactions the counts of a killed batch are unknown.
        entry.remove("counts");
    }
    // Without transactions a killed batch is journaled twice and rolled back once; rollbacks verify the journal.
    all.remove("_migration_undo");
    for documents in all.values_mut() {
        for document in documents.iter_mut() {
            *document = names.put_into(document);
        }
        documents.sort_by_key(ToString::to_string);
    }
    all.retain(|_, documents| !documents.is_empty());
    all
}
