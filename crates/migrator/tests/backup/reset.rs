use docstore::Database;
use docstore::bson::doc;
use migrator::backup::{RestoreRequest, list, restore};
use migrator::{Error, ResetRequest, UpMode};

use crate::toys::{migrator, risky, seed, toy};

fn request(db: &Database) -> ResetRequest {
    ResetRequest { confirm: db.name(), production: false, drop: false, backup: None }
}

testkit::stores! {
    async fn reset_rolls_back_and_reapplies_after_a_backup(db: Database) {
        seed(&db).await;
        let dir = tempfile::tempdir().unwrap();
        let migrator = migrator(&db, &[toy("0001_a", &[]), toy("0002_b", &["0001_a"])], None);
        migrator.up(UpMode::Operator).await.unwrap();
        let all = testkit::dump!(db);
        let reset = migrator.reset(&ResetRequest { backup: Some(dir.path().into()), ..request(&db) }).await.unwrap();
        let ids: Vec<_> = reset.rolled_back.iter().map(|report| report.id.as_str()).collect();
        assert_eq!((ids, reset.report.applied.len()), (vec!["0002_b", "0001_a"], 2));
        assert_eq!(testkit::dump!(db)["notes"], all["notes"]);
        // The backup has all of it, the ledger too, but not the lock.
        let id = list(dir.path()).unwrap().backups[0].id.clone();
        assert_eq!(reset.backup.unwrap().id, id);
        let scratch = db.scratch("restored").await.unwrap();
        restore(scratch.database(), dir.path(), &id, &RestoreRequest::default()).await.unwrap();
        let mut expected = all;
        expected.remove("_migration_lock");
        assert_eq!(testkit::dump!(scratch.database()), expected);
        scratch.discard().await.unwrap();
    }

    async fn reset_drops_everything_only_on_request(db: Database) {
        seed(&db).await;
        db.collection("others").insert_one(doc! { "_id": 1 }).await.unwrap();
        let migrator = migrator(&db, &[risky("0001_a", &[])], None);
        migrator.up(UpMode::Operator).await.unwrap();
        let error = migrator.reset(&request(&db)).await.unwrap_err();
        assert!(matches!(error, Error::Irreversible { .. }), "{error:?}");
        let reset = migrator.reset(&ResetRequest { drop: true, ..request(&db) }).await.unwrap();
        assert!(reset.dropped.contains(&"others".to_owned()) && reset.dropped.contains(&"_migrations".to_owned()));
        assert_eq!(reset.report.applied.len(), 1);
        let left = testkit::dump!(db);
        assert!(!left.contains_key("others") && left["made"].len() == 1);
        let events: Vec<_> = left["_migration_log"].iter().map(|record| record.get_str("event").unwrap()).collect();
        assert!(events.contains(&"reset"), "the log stays: {events:?}");
    }

    async fn production_and_other_databases_are_left_alone(db: Database) {
        seed(&db).await;
        let migrator = migrator(&db, &[toy("0001_a", &[])], None);
        migrator.up(UpMode::Operator).await.unwrap();
        let before = testkit::dump!(db);
        for drop in [false, true] {
            let wrong = [
                ResetRequest { production: true, drop, ..request(&db) },
                ResetRequest { confirm: "another".into(), drop, ..request(&db) },
            ];
            for request in wrong {
                let error = migrator.reset(&request).await.unwrap_err();
                assert!(matches!(error, Error::ResetRefused { .. }) && error.exit_code() == 8, "{error:?}");
                assert!(error.to_string().contains("nothing was changed"), "{error}");
            }
        }
        assert_eq!(testkit::dump!(db), before);
    }
}
