use docstore::Database;
use docstore::bson::{Bson, DateTime, doc};
use migrator::{DownTarget, Error, Migrator, Settings, Source, UpMode};

use crate::toys::{Action, Toy, all, content, entry, graph, log, settings, toy};

const EARLIER: &str = "pymongo_migrate";

fn toys() -> [Toy; 3] {
    [
        toy("0001_a", &[], vec![Action::Insert("things", "a")]).finds("a is odd"),
        toy("0002_b", &["0001_a"], vec![Action::Fill("things", "x", 1)]).unsets("things", "x"),
        toy("0003_c", &["0002_b"], vec![Action::Insert("things", "c")]),
    ]
}

fn importing(db: &Database, allow_unknown: bool) -> Migrator {
    let settings = Settings { import_from: Some(EARLIER.into()), allow_unknown, ..settings() };
    Migrator::new(db.clone(), graph(&toys()), settings)
}

fn at(seconds: i64) -> Bson {
    DateTime::from_millis(seconds * 1000).into()
}

async fn earlier(db: &Database, entries: &[(&str, Bson)]) {
    let documents = entries.iter().map(|(name, applied)| doc! { "name": *name, "applied": applied.clone() });
    db.collection(EARLIER).insert_many(documents.collect()).await.unwrap();
}

testkit::stores! {
    async fn import_records_applied_migrations_and_up_applies_the_rest(db: Database) {
        earlier(&db, &[("0001_a", at(10)), ("0002_b", at(20)), ("0003_c", Bson::Null)]).await;
        let ledger = all(&db, EARLIER).await;
        let migrator = importing(&db, false);
        let status = migrator.status().await.unwrap();
        assert_eq!(status.applied.iter().map(|e| e.source).collect::<Vec<_>>(), [Some(Source::Imported); 2]);
        assert_eq!(status.pending[0].id, "0003_c");

        let report = migrator.up(UpMode::Start).await.unwrap();
        let imported: Vec<_> = report.imported.iter().map(|i| (i.id.as_str(), i.applied_at.timestamp_millis())).collect();
        assert_eq!(imported, [("0001_a", 10_000), ("0002_b", 20_000)]);
        assert_eq!(report.imported[0].warnings, ["a is odd"]);
        assert_eq!((report.findings.len(), report.findings[0].0.as_str()), (1, "0001_a"));
        assert_eq!(report.applied.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(), ["0003_c"]);
        assert_eq!(all(&db, "things").await.len(), 1);
        let taken = entry(&db, "0001_a").await;
        assert_eq!(taken.get("foreign_id"), ledger[0].get("_id"));
        assert_eq!(taken.get("applied_at"), Some(&at(10)));
        assert_eq!(taken.get_str("imported_from").unwrap(), EARLIER);
        assert_eq!(all(&db, EARLIER).await, ledger);
        let expected = ["imported 0001_a", "imported 0002_b", "imported_as_rolled_back 0003_c", "started 0003_c", "applied 0003_c"];
        assert_eq!(log(&db).await, expected);

        // From now on ours counts.
        db.collection(EARLIER).delete_many(&docstore::Filter::All).await.unwrap();
        assert_eq!(migrator.up(UpMode::Start).await.unwrap().already_applied, 3);
    }

    async fn import_merges_equal_entries_and_refuses_contradictions(db: Database) {
        earlier(&db, &[("0001_a", at(10)), ("0001_a", at(5))]).await;
        importing(&db, false).up(UpMode::Start).await.unwrap();
        assert_eq!(entry(&db, "0001_a").await.get("applied_at"), Some(&at(5)));

        db.drop_collection("_migrations").await.unwrap();
        earlier(&db, &[("0001_a", Bson::Null)]).await;
        let before = testkit::dump!(db);
        let error = importing(&db, true).up(UpMode::Operator).await.unwrap_err();
        assert!(matches!(&error, Error::ImportContradiction { names, .. } if names == &["0001_a"]), "{error}");
        assert_eq!(testkit::dump!(db), before);
    }

    async fn import_refuses_unknown_names_unless_allowed(db: Database) {
        earlier(&db, &[("0001_a", at(10)), ("0007_theirs", at(20)), ("0008_undone", Bson::Null)]).await;
        let before = testkit::dump!(db);
        let error = importing(&db, false).up(UpMode::Start).await.unwrap_err();
        assert_eq!(error.exit_code(), 8);
        assert!(error.to_string().contains("0007_theirs") && error.to_string().contains("--allow-unknown"), "{error}");
        assert!(!error.to_string().contains("0008_undone"), "{error}");
        let status = importing(&db, false).status().await.unwrap();
        assert_eq!(status.unknown[0].id, "0007_theirs");
        assert_eq!(testkit::dump!(db), before);

        let report = importing(&db, true).up(UpMode::Start).await.unwrap();
        assert_eq!(report.imported.len(), 2);
        // Once imported it no longer needs to be allowed.
        let status = importing(&db, false).status().await.unwrap();
        assert_eq!(status.unknown.iter().map(|e| (e.id.as_str(), e.source)).collect::<Vec<_>>(), [("0007_theirs", Some(Source::Imported))]);
        assert_eq!(importing(&db, false).up(UpMode::Start).await.unwrap().already_applied, 3);
    }

    async fn import_refuses_a_malformed_ledger(db: Database) {
        db.collection(EARLIER).insert_one(doc! { "_id": "odd", "applied": at(1) }).await.unwrap();
        let before = testkit::dump!(db);
        let error = importing(&db, false).up(UpMode::Start).await.unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains(EARLIER) && error.to_string().contains("odd"), "{error}");
        assert_eq!(testkit::dump!(db), before);
        db.collection("_migrations").insert_one(doc! { "_id": "0001_a", "status": "who knows" }).await.unwrap();
        let error = importing(&db, false).status().await.unwrap_err();
        assert!(error.to_string().contains("_migrations") && error.to_string().contains("0001_a"), "{error}");
    }

    async fn down_of_imported_migration_requires_confirmation_of_losses(db: Database) {
        earlier(&db, &[("0001_a", at(10)), ("0002_b", at(20))]).await;
        db.collection("things").insert_many((0..1200).map(|i| doc! { "_id": i, "x": i }).collect()).await.unwrap();
        // The very first command may be a `down`: nothing is in our ledger yet.
        let migrator = importing(&db, false);
        let plan = migrator.plan_down(DownTarget::Last).await.unwrap().remove(0);
        assert_eq!((plan.id.as_str(), plan.source), ("0002_b", Source::Imported));
        assert_eq!(plan.losses, ["unsets x on 1200 of things, hand-made ones included"]);
        let before = testkit::dump!(db);
        let error = migrator.down(DownTarget::Last).await.unwrap_err();
        assert_eq!(error.exit_code(), 8);
        assert_eq!(testkit::dump!(db), before);

        let down = migrator.down(DownTarget::Last.confirmed()).await.unwrap().remove(0);
        assert_eq!((down.id.as_str(), down.counts[0].updated), ("0002_b", 1200));
        assert!(content(&db).await["things"].iter().all(|d| !d.contains_key("x")));
        assert_eq!(entry(&db, "0002_b").await.get_str("status").unwrap(), "rolled_back");
        // The earlier ledger still says otherwise, and no longer counts.
        let status = migrator.status().await.unwrap();
        assert_eq!(status.pending[0].id, "0002_b");
        migrator.up(UpMode::Start).await.unwrap();
        assert_eq!(entry(&db, "0002_b").await.get_str("source").unwrap(), "native");
        // It was taken over without an undo of its own for that.
        assert_eq!(migrator.down(DownTarget::Last.confirmed()).await.unwrap().remove(0).id, "0003_c");
    }
}
