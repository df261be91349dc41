use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use docstore::bson::{Bson, doc};
use docstore::{Database, Filter, Update};
use migrator::{DownReport, DownRequest, DownTarget, Error, Migrator, Undo, UpMode, UpTarget};

use crate::toys::{Action, Toy, all, content, entry, log, migrator, toy};

fn four() -> Vec<Toy> {
    vec![
        toy("0001_a", &[], vec![Action::Insert("things", "a")]),
        toy("0002_b", &["0001_a"], vec![Action::Fill("things", "x", 1)]),
        toy("0003_c", &["0002_b"], vec![Action::Insert("things", "c")]),
        toy("0004_d", &["0003_c"], vec![Action::Set("things", "x", 2.into())]),
    ]
}

fn ids(reports: &[DownReport]) -> Vec<&str> {
    reports.iter().map(|report| report.id.as_str()).collect()
}

async fn planned(migrator: &Migrator, request: impl Into<DownRequest>) -> Vec<String> {
    migrator.plan_down(request).await.unwrap().into_iter().map(|plan| plan.id).collect()
}

async fn refused(
    db: &Database,
    migrator: &Migrator,
    request: impl Into<DownRequest>,
    code: u8,
    parts: &[&str],
) {
    let before = testkit::dump!(db);
    let error = migrator.down(request).await.unwrap_err();
    assert_eq!(testkit::dump!(db), before, "{error}");
    assert_eq!(error.exit_code(), code, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "no {part:?} in: {error}");
    }
}

testkit::stores! {
    async fn down_reaches_its_target_and_up_applies_again(db: Database) {
        db.collection("things").insert_one(doc! { "_id": 1, "name": "old" }).await.unwrap();
        let before = content(&db).await;
        let migrator = migrator(&db, &four());
        migrator.up(UpMode::Start).await.unwrap();
        for (request, expected) in [
            (DownTarget::To("0002".into()).into(), vec!["0004_d", "0003_c"]),
            (DownTarget::To("0004".into()).into(), vec![]),
            (DownTarget::Steps(3).into(), vec!["0004_d", "0003_c", "0002_b"]),
            (DownTarget::Steps(0).into(), vec![]),
            (DownTarget::All.confirmed(), vec!["0004_d", "0003_c", "0002_b", "0001_a"]),
            (DownTarget::Steps(9).confirmed(), vec!["0004_d", "0003_c", "0002_b", "0001_a"]),
        ] {
            assert_eq!(planned(&migrator, request.clone()).await, expected, "{request:?}");
            let reports = migrator.down(request.clone()).await.unwrap();
            assert_eq!(ids(&reports), expected, "{request:?}");
            if expected.len() == 4 {
                assert_eq!(content(&db).await, before);
            }
            migrator.up(UpMode::Start).await.unwrap();
        }
        assert_eq!(migrator.status().await.unwrap().applied.len(), 4);
    }

    async fn down_all_requires_confirmation(db: Database) {
        let migrator = migrator(&db, &four());
        assert_eq!(migrator.down(DownTarget::All).await.unwrap().len(), 0);
        migrator.up(UpMode::Start).await.unwrap();
        refused(&db, &migrator, DownTarget::All, 8, &["this rolls back 0004_d, 0003_c, 0002_b, 0001_a", "nothing was changed", "--yes"]).await;
    }

    async fn down_run_rolls_back_the_run_and_its_dependents(db: Database) {
        let first = migrator(&db, &four());
        first.up(UpTarget::Steps(1)).await.unwrap();
        let second = migrator(&db, &four());
        let run = second.up(UpTarget::To("0003".into())).await.unwrap().run_id;
        assert_eq!(entry(&db, "0002_b").await.get_str("applied_run").unwrap(), run);
        let third = migrator(&db, &four());
        let last = third.up(UpMode::Operator).await.unwrap().run_id;

        let request = DownTarget::Run(run[..].into());
        let plans = first.plan_down(request.clone()).await.unwrap();
        let reported: Vec<_> = plans.iter().map(|plan| (plan.id.as_str(), plan.requested, plan.certain)).collect();
        assert_eq!(reported, [("0004_d", false, true), ("0003_c", true, false), ("0002_b", true, false)]);
        refused(&db, &first, request.clone(), 8, &["0004_d, 0003_c, 0002_b", "0004_d was not named", "--yes"]).await;
        refused(&db, &first, DownTarget::Run("zz".into()), 2, &["no run \"zz\"", "`field-notes migrate history`", "nothing was changed"]).await;
        refused(&db, &first, DownTarget::Run(run[..6].into()), 2, &["is ambiguous: it matches the runs", &run, &last]).await;
        assert_eq!(ids(&first.down(DownTarget::Run(last[..].into())).await.unwrap()), ["0004_d"]);
        assert_eq!(ids(&first.down(request.clone()).await.unwrap()), ["0003_c", "0002_b"]);
        refused(&db, &first, request, 2, &["no run"]).await;
        assert_eq!(first.status().await.unwrap().applied.len(), 1);
    }

    async fn irreversible_migration_refuses_the_whole_down(db: Database) {
        let mut toys = four();
        toys[1] = toys[1].clone().undo(Undo::Irreversible("it was sent to everyone"));
        let migrator = migrator(&db, &toys);
        migrator.up(UpMode::Start).await.unwrap();
        for request in [DownRequest::from(DownTarget::Steps(3)), DownTarget::To("0001".into()).into(), DownTarget::All.confirmed()] {
            refused(&db, &migrator, request, 8, &["0002_b cannot be rolled back: it was sent to everyone", "nothing was changed"]).await;
        }
        assert_eq!(migrator.down(DownTarget::To("0002".into())).await.unwrap().len(), 2);
    }

    async fn down_stops_at_the_first_data_loss(db: Database) {
        let migrator = migrator(&db, &four());
        migrator.up(UpMode::Start).await.unwrap();
        db.collection("things").update_one(&Filter::eq("name", "a"), &Update::new().set("text", "by hand")).await.unwrap();
        let error = migrator.down(DownTarget::Steps(4)).await.unwrap_err();
        assert_eq!(error.exit_code(), 8);
        let Error::DataLoss { id, rolled_back, .. } = &error else { panic!("{error}") };
        assert_eq!((id.as_str(), rolled_back.len()), ("0001_a", 3));
        assert!(error.to_string().contains("before it 0004_d, 0003_c, 0002_b were rolled back, and nothing else was changed"), "{error}");
        assert_eq!(migrator.status().await.unwrap().applied.len(), 1);
        assert_eq!(ids(&migrator.down(DownTarget::Last.confirmed()).await.unwrap()), ["0001_a"]);
        assert_eq!(all(&db, "things").await.len(), 0);
    }

    async fn down_to_unapplied_migration_is_refused(db: Database) {
        let migrator = migrator(&db, &four());
        refused(&db, &migrator, DownTarget::To("0002".into()), 2, &["0002_b has never run", "nothing was changed"]).await;
        migrator.up(UpTarget::Steps(2)).await.unwrap();
        migrator.down(DownTarget::Last).await.unwrap();
        refused(&db, &migrator, DownTarget::To("0002".into()), 2, &["0002_b was rolled back"]).await;
        refused(&db, &migrator, DownTarget::To("0009".into()), 2, &["no migration matches 0009"]).await;
    }

    async fn undo_by_code_reverts_and_discards_the_journal(db: Database) {
        db.collection("things").insert_many(vec![doc! { "_id": 1 }, doc! { "_id": 2, "x": 7 }]).await.unwrap();
        let switch = Arc::new(AtomicBool::new(true));
        let back = vec![Action::Set("things", "x", Bson::Null), Action::Fail(Arc::clone(&switch)), Action::Insert("things", "gone")];
        let toys = [toy("0001_a", &[], vec![Action::Set("things", "x", 1.into())]).rolled_back_by(back)];
        let migrator = migrator(&db, &toys);
        migrator.up(UpMode::Start).await.unwrap();
        assert!(!all(&db, "_migration_undo").await.is_empty());
        assert_eq!(migrator.plan_down(DownTarget::Last).await.unwrap()[0].undo, Undo::Code);
        // It fails half-way, and goes on.
        let error = migrator.down(DownTarget::Last).await.unwrap_err();
        assert!(matches!(error, Error::UndoFailed { .. }), "{error}");
        switch.store(false, Ordering::SeqCst);
        let reports = migrator.down(DownTarget::Last).await.unwrap();
        assert_eq!((reports[0].counts[0].updated, reports[0].counts[1].inserted), (2, 1));
        let things = all(&db, "things").await;
        assert!(things.len() == 3 && things.iter().take(2).all(|thing| thing.get("x") == Some(&Bson::Null)));
        assert_eq!(all(&db, "_migration_undo").await.len(), 0);
        let expected = ["started 0001_a", "applied 0001_a", "rolling_back 0001_a", "undo_failed 0001_a", "rolling_back 0001_a", "rolled_back 0001_a"];
        assert_eq!(log(&db).await, expected);
        migrator.up(UpMode::Start).await.unwrap();
        assert!(all(&db, "things").await.iter().all(|thing| thing.get_i32("x").is_ok_and(|x| x == 1)));
    }

    async fn redo_rolls_back_and_applies_again(db: Database) {
        let migrator = migrator(&db, &four());
        let error = migrator.redo("0002", false).await.unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(error.to_string().contains("0002_b has never run: cannot redo it, which requires a migration that is applied"), "{error}");
        migrator.up(UpMode::Start).await.unwrap();
        db.collection("things").update_one(&Filter::eq("name", "c"), &Update::new().unset("x")).await.unwrap();
        let redone = migrator.redo("0004", false).await.unwrap();
        assert_eq!((ids(&redone.rolled_back), redone.report.applied[0].id.as_str()), (vec!["0004_d"], "0004_d"));
        assert!(all(&db, "things").await.iter().all(|thing| thing.get_i32("x").is_ok_and(|x| x == 2)));

        let before = testkit::dump!(db);
        let error = migrator.redo("0003", false).await.unwrap_err();
        assert_eq!(error.exit_code(), 8);
        assert!(error.to_string().contains("0004_d, 0003_c; 0004_d was not named"), "{error}");
        assert_eq!(testkit::dump!(db), before);
        let redone = migrator.redo("0003", true).await.unwrap();
        assert_eq!(ids(&redone.rolled_back), ["0004_d", "0003_c"]);
        let again: Vec<_> = redone.report.applied.iter().map(|applied| applied.id.as_str()).collect();
        assert_eq!(again, ["0003_c", "0004_d"]);
    }

    async fn redo_rolls_back_nothing_that_it_could_not_apply_again(db: Database) {
        let toys = [
            toy("0001_a", &[], vec![]),
            toy("0002_b", &["0001_a"], vec![]),
            toy("0003_c", &["0001_a"], vec![]),
            toy("0004_d", &["0002_b", "0003_c"], vec![]),
        ];
        let migrator = migrator(&db, &toys);
        migrator.up(UpTarget::To("0002".into())).await.unwrap();
        migrator.up(UpTarget::To("0003".into())).await.unwrap();
        let before = testkit::dump!(db);
        let error = migrator.redo("0002", true).await.unwrap_err();
        assert!(matches!(error, Error::OutOfOrder { .. }), "{error}");
        assert_eq!(testkit::dump!(db), before);
    }
}
