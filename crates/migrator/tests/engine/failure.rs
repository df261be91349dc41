use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use docstore::Database;
use docstore::bson::doc;
use migrator::{DownTarget, Error, Migrator, Settings, UpMode};

use crate::toys::{
    Action, Toy, all, content, entry, graph, log, migrator, settings, toy, toy_with_variables,
};

fn failing(switch: &Arc<AtomicBool>) -> [Toy; 3] {
    [
        toy("0001_a", &[], vec![Action::Insert("things", "a")]),
        toy(
            "0002_b",
            &["0001_a"],
            vec![
                Action::Insert("things", "b"),
                Action::Fail(Arc::clone(switch)),
                Action::Insert("things", "c"),
            ],
        ),
        toy("0003_c", &["0002_b"], vec![Action::Insert("things", "d")]),
    ]
}

testkit::stores! {
    async fn failure_is_recorded_and_only_an_operator_retries_it(db: Database) {
        let switch = Arc::new(AtomicBool::new(true));
        let migrator = migrator(&db, &failing(&switch));
        let error = migrator.up(UpMode::Start).await.unwrap_err();
        assert_eq!(error.exit_code(), 1, "{error}");
        assert!(error.to_string().starts_with("0002_b failed: fails on purpose\n  already committed:\n    step 0 (things): 1 inserted"), "{error}");
        assert_eq!(all(&db, "things").await.len(), 2);
        let failed = entry(&db, "0002_b").await;
        assert_eq!(failed.get_str("status").unwrap(), "failed");
        assert_eq!(failed.get_str("error").unwrap(), "fails on purpose");

        switch.store(false, Ordering::SeqCst);
        let error = migrator.up(UpMode::Start).await.unwrap_err();
        assert_eq!(error.exit_code(), 4, "{error}");
        let text = error.to_string();
        for part in ["0002_b failed in an earlier run", "fails on purpose", "step 0 (things): 1 inserted", "field-notes migrate up", "field-notes migrate down"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(all(&db, "things").await.len(), 2);
        let status = migrator.status().await.unwrap();
        assert_eq!(status.failed[0].error.as_deref(), Some("fails on purpose"));
        assert_eq!(status.pending[0].id, "0003_c");

        let report = migrator.up(UpMode::Operator).await.unwrap();
        assert_eq!(report.applied.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(), ["0002_b", "0003_c"]);
        assert_eq!(all(&db, "things").await.len(), 4);
        let applied = entry(&db, "0002_b").await;
        assert_eq!((applied.get_str("status").unwrap(), applied.get_i32("attempts").unwrap()), ("applied", 2));
        assert!(!applied.contains_key("error"));
        let expected = ["started 0001_a", "applied 0001_a", "started 0002_b", "failed 0002_b", "started 0002_b", "applied 0002_b", "started 0003_c", "applied 0003_c"];
        assert_eq!(log(&db).await, expected);
    }

    async fn failed_migration_can_be_rolled_back(db: Database) {
        let switch = Arc::new(AtomicBool::new(true));
        let migrator = migrator(&db, &failing(&switch));
        migrator.up(UpMode::Start).await.unwrap_err();
        let down = migrator.down(DownTarget::Last).await.unwrap().remove(0);
        assert_eq!(down.id, "0002_b");
        assert_eq!(all(&db, "things").await.len(), 1);
        assert_eq!(all(&db, "_migration_undo").await.len(), 1);
        switch.store(false, Ordering::SeqCst);
        migrator.up(UpMode::Start).await.unwrap();
        assert_eq!(all(&db, "things").await.len(), 4);
    }

    async fn missing_variables_are_reported_before_any_write(db: Database) {
        let toys = [
            toy("0001_a", &[], vec![Action::Insert("things", "a")]),
            toy_with_variables("0002_b", &["0001_a"], &["ONE", "TWO"], vec![]),
            toy_with_variables("0003_c", &["0002_b"], &["THREE"], vec![]),
        ];
        let before = testkit::dump!(db);
        let env = Settings { env: Arc::new(|name| (name == "TWO").then(|| "x".into())), ..settings() };
        let error = Migrator::new(db.clone(), graph(&toys), env).up(UpMode::Start).await.unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(text.contains("0002_b needs ONE") && text.contains("0003_c needs THREE") && !text.contains("TWO"), "{text}");
        assert_eq!(testkit::dump!(db), before);
        // Blanks are nothing.
        let blank = Settings { env: Arc::new(|_| Some("  ".into())), ..settings() };
        let error = Migrator::new(db.clone(), graph(&toys), blank).up(UpMode::Start).await.unwrap_err();
        assert!(matches!(error, Error::MissingEnv(missing) if missing.len() == 3));
    }

    async fn unique_index_conflict_fails_without_partial_writes(db: Database) {
        let slug = docstore::Index::on(["by"]).unique();
        db.ensure_index("things", &slug).await.unwrap();
        db.collection("things").insert_one(doc! { "name": "other", "by": "0001_a" }).await.unwrap();
        let before = content(&db).await;
        let migrator = migrator(&db, &[toy("0001_a", &[], vec![Action::Insert("things", "a")])]);
        let error = migrator.up(UpMode::Start).await.unwrap_err();
        assert!(error.to_string().contains("0001_a failed in step \"step 0\"") && error.to_string().contains("by_1"), "{error}");
        assert_eq!(content(&db).await, before);
        assert_eq!(all(&db, "_migration_undo").await.len(), 0);
        // The lease was given back: the next one does not wait for it.
        db.drop_index("things", "by_1").await.unwrap();
        migrator.up(UpMode::Operator).await.unwrap();
    }
}
