use std::collections::BTreeMap;

use docstore::Database;
use docstore::bson::Document;
use migrator::DownTarget;

use crate::fixtures::{content, migrator, up};

type Collections = BTreeMap<String, Vec<Document>>;

/// A database before and after the first release applied the four migrations to it, with ledger and journal. The release
/// wrote it on a MongoDB 6.0 replica set; only the name of the host was replaced.
const RELEASED: &str = include_str!("released.json");

/// Stores the migrated database. Returns the content from before the migrations.
async fn store_released(db: &Database) -> Collections {
    let mut states: BTreeMap<String, Collections> = serde_json::from_str(RELEASED).unwrap();
    for (name, documents) in states.remove("after").unwrap() {
        db.collection(&name).insert_many(documents).await.unwrap();
    }
    states.remove("before").unwrap()
}

testkit::stores! {
    async fn released_database_has_nothing_pending_and_no_drift(db: Database) {
        store_released(&db).await;
        let before = testkit::dump!(db);
        let migrator = migrator(&db);
        migrator.verify().await.unwrap();
        assert_eq!(migrator.checksum_drift().await.unwrap(), []);
        let report = up(&db).await;
        assert_eq!((report.already_applied, report.applied.len()), (4, 0));
        assert_eq!(testkit::dump!(db), before);
    }

    async fn released_database_is_rolled_back_exactly(db: Database) {
        let before = store_released(&db).await;
        let reports = migrator(&db).down(DownTarget::All.confirmed()).await.unwrap();
        assert_eq!(reports.len(), 4);
        assert!(reports.iter().all(|report| report.warnings.is_empty()), "{reports:?}");
        assert_eq!(content(&db).await, before);
        assert!(testkit::dump!(db)["_migration_undo"].is_empty());
    }
}
