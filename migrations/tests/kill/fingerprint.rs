use std::collections::BTreeMap;

use docstore::Database;
use docstore::bson::Document;
use migrator::rehearsal::{GeneratedIds, KnownIds};

/// Everything that has to be equal however often a run was interrupted: all content and the state of the ledger, with
/// the ids that a run makes up replaced by what they stand for.
pub(crate) async fn fingerprint(db: &Database) -> BTreeMap<String, Vec<Document>> {
    let mut all = testkit::dump!(db);
    // The history and the lease tell the runs apart, as they should.
    all.remove("_migration_log");
    all.remove("_migration_lock");
    let names = GeneratedIds::read(db, &KnownIds::default()).await.unwrap();
    for entry in all.get_mut("_migrations").into_iter().flatten() {
        for key in
            ["attempts", "batches", "fence", "run_id", "applied_run", "pid", "duration_ms", "started_at"]
        {
            entry.remove(key);
        }
        // Without transactions the counts of the batch that was killed are not known.
        entry.remove("counts");
    }
    // A batch that was killed without a transaction is written down twice, and taken back once: what the journal is
    // good for is seen on the way down.
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
