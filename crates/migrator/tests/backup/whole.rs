use std::process::Command;
use std::sync::Arc;

use docstore::bson::{DateTime, doc};
use docstore::{Database, EngineKind, Filter, Update};
use migrator::Error;
use migrator::backup::{RestoreRequest, TakeRequest, list, restore, take, verify};
use testkit::Target;

use crate::site::{REPLACE, build, everything, remove_validator, request};

testkit::stores! {
    async fn restore_reproduces_the_backup_exactly(db: Database) {
        build(&db).await;
        let dir = tempfile::tempdir().unwrap();
        let before = everything(&db).await;
        let taken = take(&db, dir.path(), &request()).await.unwrap();
        assert_eq!(everything(&db).await, before, "a backup only reads");
        assert_eq!(taken.documents, 1205);
        let names: Vec<_> = taken.collections.iter().map(|kept| kept.name.as_str()).collect();
        assert_eq!(names, ["empty", "notes.old", "stories"]);
        assert_eq!((taken.why.as_str(), taken.database, taken.location), ("a test", db.name(), db.location()));
        assert!(taken.collections[2].indexes[0].contains("slug_1 (slug) unique sparse"));
        assert_eq!(taken.collections[2].validator.is_some(), db.kind() == EngineKind::Mongo);
        let listed = list(dir.path()).unwrap();
        assert_eq!((listed.backups.len(), listed.broken.len()), (1, 0));
        let id = &listed.backups[0].id;
        assert_eq!(verify(dir.path(), id).await.unwrap(), listed.backups[0]);

        let stories = db.collection("stories");
        stories.delete_many(&Filter::lt("_id", 600)).await.unwrap();
        stories.update_many(&Filter::id(700), &Update::new().set("slug", "other")).await.unwrap();
        db.drop_index("stories", "slug_1").await.unwrap();
        remove_validator(&db).await;
        db.drop_collection("empty").await.unwrap();
        db.collection("later").insert_one(doc! { "_id": 1 }).await.unwrap();
        let restored = restore(&db, dir.path(), id, &REPLACE).await.unwrap();
        let counts: Vec<_> = restored.collections.iter().map(|c| (c.documents, c.replaced)).collect();
        assert_eq!(counts, [(0, 0), (3, 3), (1202, 602)]);
        let mut after = everything(&db).await;
        assert_eq!(after.remove("later").unwrap().1.len(), 1, "what is not in the backup stays");
        assert_eq!(after, before);
        // And it is a collection as any other: its unique index holds.
        assert!(stories.insert_one(doc! { "slug": "s5" }).await.is_err());
    }

    async fn backup_can_be_restored_into_a_scratch_database(db: Database) {
        build(&db).await;
        let dir = tempfile::tempdir().unwrap();
        let before = everything(&db).await;
        let id = take(&db, dir.path(), &request()).await.unwrap().id;
        let error = restore(&db, dir.path(), &id, &RestoreRequest::default()).await.unwrap_err();
        assert!(matches!(&error, Error::NotEmpty { collections } if collections == &["notes.old", "stories"]), "{error:?}");
        assert_eq!(error.exit_code(), 8);
        assert!(error.to_string().contains("--replace") && error.to_string().contains("--into-scratch"), "{error}");
        assert_eq!(everything(&db).await, before);
        let scratch = db.scratch("restored").await.unwrap();
        restore(scratch.database(), dir.path(), &id, &RestoreRequest::default()).await.unwrap();
        assert_eq!(everything(scratch.database()).await, before);
        scratch.discard().await.unwrap();
        assert_eq!(everything(&db).await, before);
    }

    async fn partial_restore_drops_collections_absent_at_the_backup(db: Database) {
        build(&db).await;
        let dir = tempfile::tempdir().unwrap();
        let before = everything(&db).await;
        let some = TakeRequest { collections: Some(vec!["new".into(), "notes.old".into()]), ..request() };
        let taken = take(&db, dir.path(), &some).await.unwrap();
        assert_eq!((taken.collections.len(), taken.absent.as_slice()), (1, ["new".to_owned()].as_slice()));
        db.collection("new").insert_one(doc! { "_id": 1 }).await.unwrap();
        db.collection("notes.old").delete_many(&Filter::All).await.unwrap();
        let only = |name: &str| RestoreRequest { replace: true, only: Some(vec![name.into()]) };
        let error = restore(&db, dir.path(), &taken.id, &only("stories")).await.unwrap_err();
        assert!(matches!(error, Error::NotInBackup { .. }), "{error:?}");
        let error = restore(&db, dir.path(), &taken.id, &RestoreRequest::default()).await.unwrap_err();
        assert!(matches!(&error, Error::NotEmpty { collections } if collections == &["new"]), "{error:?}");
        restore(&db, dir.path(), &taken.id, &only("notes.old")).await.unwrap();
        assert!(db.collection_names().await.unwrap().contains(&"new".to_owned()));
        let done = restore(&db, dir.path(), &taken.id, &REPLACE).await.unwrap();
        assert_eq!(done.dropped, ["new"]);
        assert_eq!(everything(&db).await, before);
    }

    async fn checksums_match_those_of_other_tools(db: Database) {
        build(&db).await;
        let dir = tempfile::tempdir().unwrap();
        let id = take(&db, dir.path(), &request()).await.unwrap().id;
        let checked = Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(dir.path().join(id)).output();
        let checked = checked.unwrap();
        let said = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(checked.status.success() && said.lines().count() == 7, "{said}");
    }

    async fn restore_keeps_server_side_options_and_views(db: Database) {
        if db.kind() != EngineKind::Mongo {
            return;
        }
        let server = docstore::mongo::as_mongo(&db).unwrap();
        let options = doc! { "create": "words", "collation": { "locale": "en", "strength": 2 }, "validator": { "$jsonSchema": { "required": ["t"] } } };
        server.run_command(options).await.unwrap();
        let text = doc! { "key": { "t": "text" }, "name": "words", "collation": { "locale": "simple" } };
        server.run_command(doc! { "createIndexes": "words", "indexes": [text] }).await.unwrap();
        let odd = doc! { "_id": 1, "t": "x", "d": docstore::bson::Bson::MaxKey, "r": docstore::bson::Decimal128::from_bytes([1; 16]) };
        server.collection("words").insert_one(odd).await.unwrap();
        server.run_command(doc! { "create": "seen", "viewOn": "words", "pipeline": [] }).await.unwrap();
        let before = everything(&db).await;
        let dir = tempfile::tempdir().unwrap();
        let id = take(&db, dir.path(), &request()).await.unwrap().id;
        for name in ["seen", "words"] {
            db.drop_collection(name).await.unwrap();
        }
        restore(&db, dir.path(), &id, &RestoreRequest::default()).await.unwrap();
        assert_eq!(everything(&db).await, before);
    }
}

testkit::targets! {
    async fn backup_of_one_engine_is_restored_into_the_other(target: Arc<Target>) {
        let db = testkit::open!(target);
        build(&db).await;
        // SQLite has no validators.
        remove_validator(&db).await;
        let dir = tempfile::tempdir().unwrap();
        let id = take(&db, dir.path(), &request()).await.unwrap().id;
        let guard = testkit::scratch("other-").unwrap();
        let other = Arc::new(Target::Embedded { path: guard.path().join("store.db"), guard });
        let into = testkit::open!(other);
        restore(&into, dir.path(), &id, &RestoreRequest::default()).await.unwrap();
        let (ours, theirs) = (everything(&db).await, everything(&into).await);
        for ((name, (a, documents)), (other, (b, restored))) in ours.iter().zip(&theirs) {
            assert_eq!((name, documents), (other, restored));
            assert_eq!(a.indexes, b.indexes);
        }
        // And back.
        let later = TakeRequest { now: DateTime::from_millis(1_800_000_000_000), ..request() };
        let back = take(&into, dir.path(), &later).await.unwrap();
        restore(&db, dir.path(), &back.id, &REPLACE).await.unwrap();
        assert_eq!(everything(&db).await, ours);
        into.close().await;
        db.close().await;
    }
}
