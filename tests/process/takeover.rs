use std::collections::BTreeMap;
use std::sync::Arc;

use docstore::Database;
use docstore::bson::Document;
use serde_json::{Value, json};
use testkit::Target;

use crate::program::{Program, open_store, slugs};

/// A database of the original; see `tests/fixtures/README.md`.
const ORIGINAL: &str = include_str!("../fixtures/original.json");

/// Stores the database of the original.
pub(crate) async fn put_original(store: &Database) {
    let collections: BTreeMap<String, Vec<Document>> =
        serde_json::from_str(ORIGINAL).expect("the fixture is extended JSON");
    for (name, documents) in collections {
        store.collection(&name).insert_many(documents).await.expect("the fixture is stored");
    }
}

testkit::targets! {
    async fn original_database_is_imported_and_nothing_runs_twice(target: Arc<Target>) {
        let store = open_store(&target).await;
        put_original(&store).await;
        let before = testkit::dump!(store);
        let program = Program::on(&target);

        // Before the import, the other ledger is shown and nothing is written.
        let json = program.run(&["migrate", "status", "--json"]).expect(0).stdout;
        let status: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(status["applied"].as_array().unwrap().len(), 4, "{status}");
        assert_eq!(status["pending"], json!([]), "{status}");
        assert_eq!(testkit::dump!(store), before);

        // Between an `up` and the first start the indexes do not exist yet, which is one line and no drift.
        program.run(&["migrate", "up"]).expect(0);
        let checked = program.run(&["migrate", "check"]).expect(0).stdout;
        assert!(checked.contains("· indexes are not created yet: the first start creates them\n"), "{checked}");
        assert!(!checked.contains("slug_1") && !checked.contains("indexes match"), "{checked}");

        let server = program.serve().await;
        let after = testkit::dump!(store);
        for (name, documents) in &before {
            assert_eq!(&after[name], documents, "{name} is as it was");
        }

        // The section deleted through the original's API stays deleted; the one created there is unpublished.
        assert_eq!(server.section_slugs().await, ["blog", "about", "projects"]);
        let (status, all) = server.get_as_admin("/sections?include_unpublished=true").await;
        assert_eq!(status, 200, "{all}");
        assert_eq!(slugs(&all), ["blog", "about", "projects", "gallery"]);

        // Its ObjectId section ids are found and reported.
        let json = program.run(&["migrate", "status", "--json"]).expect(0).stdout;
        let status: Value = serde_json::from_str(&json).unwrap();
        let fourth = &status["applied"][3];
        assert_eq!(fourth["source"], "imported", "{status}");
        assert_eq!(fourth["applied_at"].as_str().map(|at| &at[..10]), Some("2026-11-20"), "{status}");
        let warnings = fourth["warnings"].to_string();
        assert!(warnings.contains("stories") && warnings.contains("ObjectId"), "{status}");

        // Findings of the import are reported and do not block a deploy.
        for arguments in [&["migrate", "check"][..], &["migrate", "check", "--before-deploy"], &["migrate", "verify"]] {
            let result = program.run(arguments).expect(0);
            assert!(result.stdout.contains("changed since 0004_backfill_section_id"), "{}", result.stdout);
        }

        // Without a journal, `down` prints what would be lost, and changes nothing.
        let result = program.run(&["migrate", "down"]).expect(8);
        assert!(result.stderr.contains("section_id"), "{}", result.stderr);
        let unchanged = testkit::dump!(store);
        assert_eq!(unchanged["stories"], before["stories"]);
        store.close().await;
    }
}
