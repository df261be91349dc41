use std::sync::Arc;

use docstore::Database;
use docstore::bson::{Bson, DateTime, doc};
use migrator::{Migrator, Settings, UpMode};

use crate::counting::Counting;
use crate::toys::{Action, Notes, all, entry, graph, log, migrator, settings, toy};

fn diamond() -> [crate::toys::Toy; 4] {
    [
        toy("0004_last", &["0003_right", "0002_left"], vec![Action::Insert("things", "d")]),
        toy("0003_right", &["0001_first"], vec![Action::Insert("things", "c")]),
        toy("0002_left", &["0001_first"], vec![Action::Insert("things", "b")]),
        toy("0001_first", &[], vec![Action::Insert("things", "a"), Action::Warn("a was odd")]),
    ]
}

testkit::stores! {
    async fn diamond_is_applied_in_order_and_once(db: Database) {
        let notes = Arc::new(Notes::default());
        let reported = Settings { observer: Arc::clone(&notes) as _, ..settings() };
        let migrator = Migrator::new(db.clone(), graph(&diamond()), reported);
        let report = migrator.up(UpMode::Start).await.unwrap();
        let ids = ["0001_first", "0002_left", "0003_right", "0004_last"];
        assert_eq!(report.applied.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(), ids);
        assert_eq!(report.applied[0].warnings, ["a was odd"]);
        assert_eq!(report.applied[0].counts[0].inserted, 1);
        let expected: Vec<_> = ids.iter().flat_map(|id| [format!("started {id} 1"), format!("applied {id}")]).collect();
        assert_eq!(*notes.0.lock().unwrap(), expected);
        assert_eq!(log(&db).await, ids.iter().flat_map(|id| [format!("started {id}"), format!("applied {id}")]).collect::<Vec<_>>());
        assert_eq!(all(&db, "things").await.len(), 4);

        let again = migrator.up(UpMode::Start).await.unwrap();
        assert_eq!((again.applied.len(), again.already_applied), (0, 4));
        assert_eq!(log(&db).await.len(), 8);
    }

    async fn ledger_records_provenance(db: Database) {
        migrator(&db, &diamond()).up(UpMode::Operator).await.unwrap();
        let entry = entry(&db, "0001_first").await;
        let now = DateTime::from_millis(1_700_000_000_000);
        for (key, value) in [
            ("status", Bson::from("applied")),
            ("source", "native".into()),
            ("order", 0_i32.into()),
            ("attempts", 1_i32.into()),
            ("app_version", "1.2.3".into()),
            ("actor", "a test".into()),
            ("pid", i64::from(std::process::id()).into()),
            ("applied_at", now.into()),
            ("started_at", now.into()),
            ("finished_at", now.into()),
            ("warnings", Bson::Array(vec!["a was odd".into()])),
        ] {
            assert_eq!(entry.get(key), Some(&value), "{key}");
        }
        for key in ["fence", "run_id", "host", "duration_ms", "counts", "depends_on"] {
            assert!(entry.contains_key(key), "{key}");
        }
        assert!(!entry.contains_key("error"));
    }

    async fn start_with_nothing_to_do_reads_twice_and_writes_nothing(db: Database) {
        migrator(&db, &diamond()).up(UpMode::Start).await.unwrap();
        let (counting, counts) = Counting::around(&db);
        let importing = Settings { import_from: Some("earlier".into()), ..settings() };
        let report = Migrator::new(counting, graph(&diamond()), importing).up(UpMode::Start).await.unwrap();
        assert_eq!(report.already_applied, 4);
        assert_eq!((counts.reads(), counts.writes()), (2, 0));
    }

    async fn unknown_applied_migrations_are_reported_and_do_not_block(db: Database) {
        let later = doc! { "_id": "0009_later", "status": "applied", "fence": 1_i64, "applied_at": DateTime::now() };
        db.collection("_migrations").insert_one(later).await.unwrap();
        let migrator = migrator(&db, &diamond());
        let report = migrator.up(UpMode::Start).await.unwrap();
        assert_eq!(report.unknown, ["0009_later"]);
        assert_eq!(report.applied.len(), 4);
        let status = migrator.status().await.unwrap();
        assert_eq!(status.unknown.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["0009_later"]);
    }
}
