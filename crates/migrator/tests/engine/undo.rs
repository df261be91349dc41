use std::sync::Arc;

use docstore::bson::oid::ObjectId;
use docstore::bson::{Bson, Document, doc};
use docstore::{Database, Filter, Update};
use migrator::{DownRequest, DownTarget, Undo, UpMode};

use crate::toys::{Action, all, content, entry, log, migrator, toy};

const YES: DownRequest = DownRequest { target: DownTarget::Last, confirmed: true };
const NO: DownRequest = DownRequest { target: DownTarget::Last, confirmed: false };

/// Ids of several types, more than fit a batch.
fn many() -> Vec<Document> {
    let numbers = (0..1500).map(|i| doc! { "_id": i, "n": i });
    let texts = (0..1200).map(|i| doc! { "_id": format!("t{i:05}"), "color": "red", "n": i });
    let ids = (0..3).map(|i| doc! { "_id": ObjectId::new(), "color": Bson::Null, "n": f64::from(i) });
    numbers.chain(texts).chain(ids).collect()
}

testkit::stores! {
    async fn down_restores_every_document_exactly_and_up_applies_again(db: Database) {
        db.collection("things").insert_many(many()).await.unwrap();
        let before = content(&db).await;
        let actions = vec![
            Action::Fill("things", "color", 1),
            Action::Set("things", "n", Bson::from("all")),
            Action::Insert("things", "made"),
            Action::Insert("others", "made"),
        ];
        let migrator = migrator(&db, &[toy("0001_a", &[], actions)]);
        let report = migrator.up(UpMode::Start).await.unwrap();
        let counts: Vec<_> = report.applied[0].counts.iter().map(|c| (c.updated, c.inserted)).collect();
        assert_eq!(counts, [(1500, 0), (2703, 0), (0, 1), (0, 1)]);
        let after = content(&db).await;
        assert!(after["things"].iter().filter(|d| d.get("name").is_none()).all(|d| d.get_str("n").is_ok_and(|n| n == "all")));

        let plan = migrator.plan_down(NO).await.unwrap().remove(0);
        assert_eq!((plan.id.as_str(), plan.losses.len()), ("0001_a", 0));
        let down = migrator.down(NO).await.unwrap().remove(0);
        assert_eq!(content(&db).await, before);
        assert_eq!(down.counts.iter().map(|c| (c.updated, c.deleted, c.left)).fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2)), (4203, 2, 0));
        assert_eq!(all(&db, "_migration_undo").await.len(), 0);
        assert_eq!(entry(&db, "0001_a").await.get_str("status").unwrap(), "rolled_back");
        assert!(migrator.down(NO).await.unwrap().is_empty());

        migrator.up(UpMode::Start).await.unwrap();
        let again = content(&db).await;
        assert_eq!(again["things"].len(), after["things"].len());
        assert_eq!(entry(&db, "0001_a").await.get_i32("attempts").unwrap(), 2);
        let expected = ["started 0001_a", "applied 0001_a", "rolling_back 0001_a", "rolled_back 0001_a", "started 0001_a", "applied 0001_a"];
        assert_eq!(log(&db).await, expected);
    }

    async fn field_set_twice_is_restored_to_its_first_value(db: Database) {
        db.collection("things").insert_many(vec![doc! { "_id": 1, "x": "old" }, doc! { "_id": 2 }]).await.unwrap();
        let before = content(&db).await;
        let actions = vec![Action::Set("things", "x", 1.into()), Action::Set("things", "x", 2.into())];
        let migrator = migrator(&db, &[toy("0001_a", &[], actions)]);
        migrator.up(UpMode::Start).await.unwrap();
        assert!(all(&db, "things").await.iter().all(|d| d.get_i32("x").unwrap() == 2));
        migrator.down(NO).await.unwrap();
        assert_eq!(content(&db).await, before);
    }

    async fn down_keeps_and_counts_later_edits(db: Database) {
        let things = db.collection("things");
        things.insert_many((0..4).map(|i| doc! { "_id": i }).collect()).await.unwrap();
        let migrator = migrator(&db, &[toy("0001_a", &[], vec![Action::Fill("things", "x", 1)])]);
        migrator.up(UpMode::Start).await.unwrap();
        things.update_one(&Filter::id(0), &Update::new().set("x", "by hand")).await.unwrap();
        // An array with our value is not our value.
        things.update_one(&Filter::id(1), &Update::new().set("x", Bson::Array(vec![1.into(), 2.into()]))).await.unwrap();
        things.delete_one(&Filter::id(2)).await.unwrap();
        let down = migrator.down(NO).await.unwrap().remove(0);
        assert_eq!((down.counts[0].updated, down.counts[0].left), (1, 3));
        let expected = [doc! { "_id": 0, "x": "by hand" }, doc! { "_id": 1, "x": [1, 2] }, doc! { "_id": 3 }];
        assert_eq!(all(&db, "things").await, expected);
    }

    async fn deleting_edited_documents_requires_confirmation(db: Database) {
        let migrator = migrator(&db, &[toy("0001_a", &[], vec![Action::Insert("things", "a"), Action::Insert("things", "b")])]);
        migrator.up(UpMode::Start).await.unwrap();
        db.collection("things").update_one(&Filter::eq("name", "a"), &Update::new().set("text", "by hand")).await.unwrap();
        let before = testkit::dump!(db);
        let error = migrator.down(NO).await.unwrap_err();
        assert_eq!(error.exit_code(), 8);
        let text = error.to_string();
        assert!(text.contains("of things, which was edited after 0001_a inserted it") && text.contains("migrate down --yes"), "{text}");
        assert_eq!(migrator.plan_down(NO).await.unwrap().remove(0).losses.len(), 1);
        assert_eq!(testkit::dump!(db), before);
        let down = migrator.down(YES).await.unwrap().remove(0);
        assert_eq!(down.counts[0].deleted, 2);
        assert_eq!(all(&db, "things").await.len(), 0);
    }

    async fn existing_data_is_kept_by_down(db: Database) {
        db.collection("things").insert_one(doc! { "_id": 1, "name": "a" }).await.unwrap();
        let before = content(&db).await;
        let migrator = migrator(&db, &[toy("0001_a", &[], vec![Action::Insert("things", "a")])]);
        let report = migrator.up(UpMode::Start).await.unwrap();
        assert_eq!((report.applied[0].counts[0].inserted, report.applied[0].counts[0].left), (0, 1));
        migrator.down(NO).await.unwrap();
        assert_eq!(content(&db).await, before);
    }

    async fn down_rolls_back_one_at_a_time_last_first(db: Database) {
        let toys = [
            toy("0001_a", &[], vec![Action::Insert("things", "a")]),
            toy("0002_b", &["0001_a"], vec![Action::Insert("things", "b")]),
        ];
        let migrator = migrator(&db, &toys);
        migrator.up(UpMode::Start).await.unwrap();
        assert_eq!(migrator.down(NO).await.unwrap().remove(0).id, "0002_b");
        assert_eq!(migrator.down(NO).await.unwrap().remove(0).id, "0001_a");
        assert!(migrator.down(NO).await.unwrap().is_empty());
    }

    async fn irreversible_migration_is_refused_with_its_reason(db: Database) {
        let toys = [toy("0001_a", &[], vec![Action::Insert("things", "a")]).undo(Undo::Irreversible("it was sent to everyone"))];
        let migrator = migrator(&db, &toys);
        migrator.up(UpMode::Start).await.unwrap();
        let before = testkit::dump!(db);
        let error = migrator.down(YES).await.unwrap_err();
        assert_eq!(error.exit_code(), 8);
        assert!(error.to_string().contains("0001_a cannot be rolled back: it was sent to everyone"), "{error}");
        assert_eq!(testkit::dump!(db), before);
    }

    async fn down_refuses_a_migration_that_an_unknown_one_depends_on(db: Database) {
        let known = toy("0001_a", &[], vec![Action::Insert("things", "a")]);
        let newer = [known.clone(), toy("0002_b", &["0001_a"], vec![])];
        migrator(&db, &newer).up(UpMode::Start).await.unwrap();
        let error = migrator(&db, &[known]).down(YES).await.unwrap_err();
        assert_eq!(error.exit_code(), 8);
        assert!(error.to_string().contains("while 0002_b is applied"), "{error}");
    }

    async fn interrupted_rollback_is_finished_by_down_and_by_up(db: Database) {
        db.collection("things").insert_many((0..3).map(|i| doc! { "_id": i }).collect()).await.unwrap();
        let before = content(&db).await;
        let toys = [toy("0001_a", &[], vec![Action::Fill("things", "x", 1), Action::Fill("things", "y", 1)])];
        let migrator = migrator(&db, &toys);
        let interrupted = Update::new().set("status", "rolling_back").set("confirmed", false);
        for by_up in [false, true] {
            migrator.up(UpMode::Start).await.unwrap();
            db.collection("_migrations").update_one(&Filter::id("0001_a"), &interrupted).await.unwrap();
            // As far as it came: the last entry of the journal.
            db.collection("things").update_many(&Filter::All, &Update::new().unset("y")).await.unwrap();
            let undone = Filter::eq("step", "step 1");
            assert_eq!(db.collection("_migration_undo").delete_one(&undone).await.unwrap(), 1);
            if by_up {
                let report = migrator.up(UpMode::Start).await.unwrap();
                assert_eq!((report.rolled_back, report.applied.len()), (vec!["0001_a".to_owned()], 1));
                assert!(all(&db, "things").await.iter().all(|d| d.get_i32("x").unwrap() == 1));
            }
            assert_eq!(migrator.down(NO).await.unwrap().remove(0).id, "0001_a");
            assert_eq!(content(&db).await, before);
        }
    }

    async fn rollback_keeps_a_journal_entry_that_it_cannot_revert(db: Database) {
        db.collection("things").insert_one(doc! { "_id": 1, "x": "old" }).await.unwrap();
        let before = content(&db).await;
        let migrator = migrator(&db, &[toy("0001_a", &[], vec![Action::Set("things", "x", "new".into())])]);
        migrator.up(UpMode::Start).await.unwrap();
        let journal = db.collection("_migration_undo");
        for (kind, remedy) in [("validator_set", "collMod"), ("later", "by hand")] {
            let id = doc! { "migration": "0001_a", "n": 99_i64 };
            let entry = doc! { "_id": id.clone(), "kind": kind, "collection": "things" };
            journal.insert_one(entry.clone()).await.unwrap();
            let error = migrator.down(NO).await.unwrap_err();
            assert_eq!(error.exit_code(), 1);
            for part in [remedy, "_migration_undo", "migrate down"] {
                assert!(error.to_string().contains(part), "{error}");
            }
            assert!(all(&db, "_migration_undo").await.contains(&entry));
            assert_ne!(content(&db).await, before);
            assert_eq!(journal.delete_one(&Filter::id(id)).await.unwrap(), 1);
        }
        migrator.down(NO).await.unwrap();
        assert_eq!(content(&db).await, before);
    }

    async fn failed_rollback_names_the_commands(db: Database) {
        let things = db.collection("things");
        things.insert_many(vec![doc! { "_id": 1, "x": "same" }, doc! { "_id": 2, "x": "other" }]).await.unwrap();
        let toys = [toy("0001_a", &[], vec![Action::Set("things", "x", Bson::Null)])];
        let migrator = Arc::new(migrator(&db, &toys));
        migrator.up(UpMode::Start).await.unwrap();
        // The old value is taken meanwhile, and has become unique.
        things.insert_one(doc! { "_id": 3, "x": "same" }).await.unwrap();
        let unique = docstore::Index::on(["x"]).unique().partial(Filter::gt("x", ""));
        db.ensure_index("things", &unique).await.unwrap();
        let error = migrator.down(NO).await.unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert!(error.to_string().contains("the rollback of 0001_a failed") && error.to_string().contains("migrate down"), "{error}");
        assert_eq!(migrator.status().await.unwrap().failed.len(), 1);
        assert_eq!(migrator.up(UpMode::Start).await.unwrap_err().exit_code(), 4);
        things.delete_one(&Filter::id(3)).await.unwrap();
        migrator.down(NO).await.unwrap().remove(0);
        assert_eq!(all(&db, "things").await, [doc! { "_id": 1, "x": "same" }, doc! { "_id": 2, "x": "other" }]);
    }
}
