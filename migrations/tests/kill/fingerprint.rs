use std::collections::BTreeMap;

use docstore::Database;
use docstore::bson::oid::ObjectId;
use docstore::bson::{Bson, Document};

/// Everything that has to be equal however often a run was interrupted: all content and the state of the ledger, with
/// the ids that a run makes up replaced by what they stand for.
pub(crate) async fn fingerprint(db: &Database) -> BTreeMap<String, Vec<Document>> {
    let mut all = testkit::dump!(db);
    // The history and the lease tell the runs apart, as they should.
    all.remove("_migration_log");
    all.remove("_migration_lock");
    let mut names = BTreeMap::new();
    for document in all.get("sections").into_iter().flatten() {
        if let (Ok(id), Ok(slug)) = (document.get_object_id("_id"), document.get_str("slug")) {
            names.insert(id, format!("the section {slug}"));
        }
    }
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
            *document = document.iter().map(|(key, value)| (key.clone(), named(value, &names))).collect();
        }
        documents.sort_by_key(ToString::to_string);
    }
    all.retain(|_, documents| !documents.is_empty());
    all
}

fn named(value: &Bson, names: &BTreeMap<ObjectId, String>) -> Bson {
    match value {
        Bson::ObjectId(id) => names.get(id).map_or_else(|| value.clone(), |name| name.clone().into()),
        Bson::String(text) => {
            let id = ObjectId::parse_str(text).ok();
            id.and_then(|id| names.get(&id)).map_or_else(|| value.clone(), |name| name.clone().into())
        }
        Bson::Document(document) => document
            .iter()
            .map(|(key, value)| (key.clone(), named(value, names)))
            .collect::<Document>()
            .into(),
        Bson::Array(values) => values.iter().map(|value| named(value, names)).collect::<Vec<_>>().into(),
        other => other.clone(),
    }
}
