use std::collections::BTreeMap;

use docstore::bson::doc;
use docstore::{Database, LeaseRequest};
use migrator::{CheckLevel, Graph, Migrator, Settings, UpMode, duration_text};
use std::time::Duration;

use crate::toys::{migrator, risky, seed, toy};

async fn levels(migrator: &Migrator) -> (BTreeMap<&'static str, (CheckLevel, String)>, bool) {
    let preflight = migrator.preflight(&UpMode::Operator.into()).await;
    let passed = preflight.passed();
    assert_eq!(preflight.exit_code(), if passed { 0 } else { 8 });
    (preflight.checks.into_iter().map(|check| (check.name, (check.level, check.text))).collect(), passed)
}

testkit::stores! {
    async fn preflight_passes_and_writes_nothing(db: Database) {
        seed(&db).await;
        let before = testkit::dump!(db);
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("not/made/yet");
        let (levels, passed) = levels(&migrator(&db, &[toy("0001_a", &[])], Some(&dir))).await;
        assert!(passed, "{levels:?}");
        let names: Vec<_> = levels.keys().copied().collect();
        let all = ["backups", "checksums", "connection", "effort", "heads", "ledger", "lock", "modes", "rights", "server", "space", "variables", "way back"];
        assert_eq!(names, all);
        for (name, (level, text)) in &levels {
            // The free space of the machine is unknown.
            assert!(*level == CheckLevel::Ok || *name == "space" || *name == "backups", "{name}: {text}");
        }
        assert!(levels["ledger"].1.contains("pending: 0001_a"));
        assert!(levels["effort"].1.starts_with("about 5 documents to change, at most a second ("), "{}", levels["effort"].1);
        assert_eq!(testkit::dump!(db), before);
        assert!(!dir.exists());
    }

    async fn several_heads_and_held_lock_are_reported(db: Database) {
        seed(&db).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let mut needy = risky("0001_a", &[]);
        needy.meta = needy.meta.requires_env(&["NOT_SET"]);
        let owner = LeaseRequest { collection: "_migration_lock".into(), name: "migrations".into(), owner: "somebody".into(), ttl: Duration::from_mins(1) };
        let lease = db.acquire_lease(owner).await.unwrap().unwrap();
        let (levels, passed) = levels(&migrator(&db, &[needy, toy("0002_b", &[])], Some(&file.join("below")))).await;
        lease.release().await.unwrap();
        assert!(!passed);
        let is = |name: &str, level, text: &str| {
            let (found, said) = &levels[name];
            assert!(*found == level && said.contains(text), "{name}: {found:?} {said}");
        };
        is("heads", CheckLevel::Error, "0001_a, 0002_b");
        is("ledger", CheckLevel::Error, "0002_b");
        is("lock", CheckLevel::Warning, "held by somebody");
    }

    async fn lease_that_ends_far_ahead_is_an_error(db: Database) {
        seed(&db).await;
        let lease = LeaseRequest { collection: "_migration_lock".into(), name: "migrations".into(), owner: "somebody".into(), ttl: Duration::from_hours(48) };
        db.acquire_lease(lease).await.unwrap().unwrap();
        let migrator = migrator(&db, &[toy("0001_a", &[])], None);
        let (found, passed) = levels(&migrator).await;
        let (level, text) = &found["lock"];
        assert!(!passed && *level == CheckLevel::Error && text.contains("unlock --force"), "{text}");
        migrator.unlock("the clock was wrong", true).await.unwrap();
        assert_eq!(levels(&migrator).await.0["lock"].0, CheckLevel::Ok);
    }

    async fn free_space_of_a_database_to_be_created_is_not_zero(db: Database) {
        let (level, text) = &levels(&migrator(&db, &[toy("0001_a", &[])], None)).await.0["space"];
        let is_on_server = docstore::mongo::as_mongo(&db).is_some();
        let expected = if is_on_server { "does not exist yet" } else { " free, " };
        assert!(text.contains(expected) && !text.starts_with("0 KiB free"), "{level:?} {text}");
    }

    async fn preflight_and_plan_agree_on_documents_and_duration(db: Database) {
        seed(&db).await;
        let migrator = migrator(&db, &[toy("0001_a", &[]), toy("0002_b", &["0001_a"])], None);
        let preview = migrator.preview(UpMode::Operator).await.unwrap();
        let documents: u64 = preview.migrations.iter().map(|one| one.documents).sum();
        let duration = duration_text(preview.migrations.iter().map(|one| one.estimate_ms).sum());
        let text = levels(&migrator).await.0["effort"].1.clone();
        assert!(text.starts_with(&format!("about {documents} documents to change, {duration} (")), "{text}");
    }

    async fn risky_migration_and_missing_variable_are_reported(db: Database) {
        seed(&db).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let mut needy = risky("0001_a", &[]);
        needy.meta = needy.meta.requires_env(&["NOT_SET"]);
        let (with, passed) = levels(&migrator(&db, std::slice::from_ref(&needy), Some(&file.join("below")))).await;
        assert!(!passed);
        assert_eq!(with["variables"], (CheckLevel::Error, "0001_a needs NOT_SET, which is not set".into()));
        assert_eq!(with["way back"].0, CheckLevel::Warning);
        assert!(with["backups"].0 == CheckLevel::Error && with["backups"].1.contains("is not a folder"), "{with:?}");
        let (without, _) = levels(&migrator(&db, &[needy], None)).await;
        assert!(without["backups"].0 == CheckLevel::Warning && without["backups"].1.contains("0001_a"), "{without:?}");
    }

    async fn unfinished_run_and_unknown_migration_are_warnings(db: Database) {
        let entry = |id: &str, status: &str| doc! { "_id": id, "status": status, "fence": 1_i64, "attempts": 1 };
        db.collection("_migrations").insert_many(vec![entry("0001_a", "failed"), entry("0009_z", "applied")]).await.unwrap();
        let (levels, passed) = levels(&migrator(&db, &[toy("0001_a", &[])], None)).await;
        assert!(passed, "{levels:?}");
        let (level, text) = &levels["ledger"];
        assert!(*level == CheckLevel::Warning && text.contains("did not finish") && text.contains("0009_z"), "{text}");
        db.collection("_migrations").insert_one(doc! { "_id": "0002_b", "status": "odd", "fence": 1_i64 }).await.unwrap();
        let (levels, passed) = self::levels(&migrator(&db, &[toy("0001_a", &[])], None)).await;
        assert!(!passed && levels["ledger"].0 == CheckLevel::Error, "{levels:?}");
    }

    async fn journal_over_the_limit_is_a_warning(db: Database) {
        seed(&db).await;
        let settings = Settings { journal_cap_bytes: 10, ..Settings::default() };
        let migrator = Migrator::new(db, Graph::new(vec![Box::new(toy("0001_a", &[]))]).unwrap(), settings);
        let (levels, passed) = levels(&migrator).await;
        let (level, text) = &levels["effort"];
        assert!(passed && *level == CheckLevel::Warning && text.contains("0001_a would stop half-way"), "{text}");
    }

    async fn unreachable_store_fails(db: Database) {
        let migrator = migrator(&db, &[toy("0001_a", &[])], None);
        db.close().await;
        if db.ping().await.is_ok() {
            return;
        }
        let preflight = migrator.preflight(&UpMode::Operator.into()).await;
        assert!(!preflight.passed());
    }
}
