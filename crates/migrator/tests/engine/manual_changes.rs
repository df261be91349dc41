use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use docstore::bson::{DateTime, doc};
use docstore::{Database, Filter, Find, LeaseRequest, Update};
use migrator::{
    DownTarget, Error, HistoryRequest, Migrator, Recovery, Repair, Settings, Source, Stamp, State,
    UnlockOutcome, UpMode, UpTarget,
};

use crate::toys::{Action, Toy, all, content, entry, graph, log, migrator, settings, toy};

fn three() -> [Toy; 3] {
    [
        toy("0001_a", &[], vec![Action::Insert("things", "a")]),
        toy("0002_b", &["0001_a"], vec![Action::Fill("things", "x", 1)])
            .unsets("things", "x")
            .finds("x is odd"),
        toy("0003_c", &["0002_b"], vec![Action::Insert("things", "c")]),
    ]
}

fn stuck(switch: &Arc<AtomicBool>) -> [Toy; 2] {
    [
        toy(
            "0001_a",
            &[],
            vec![
                Action::Insert("things", "a"),
                Action::Fail(Arc::clone(switch)),
                Action::Insert("things", "b"),
            ],
        ),
        toy("0002_b", &["0001_a"], vec![]),
    ]
}

fn says(error: &Error, code: u8, parts: &[&str]) {
    assert_eq!(error.exit_code(), code, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "no {part:?} in: {error}");
    }
}

testkit::stores! {
    async fn stamp_applied_runs_nothing(db: Database) {
        let migrator = migrator(&db, &three());
        let before = testkit::dump!(db);
        says(&migrator.stamp("0001", Stamp::Applied, "  ").await.unwrap_err(), 2, &["--reason", "nothing was changed"]);
        says(&migrator.stamp("0003", Stamp::Applied, "why").await.unwrap_err(), 8, &["0003_c depends on 0001_a, 0002_b, not applied", "nothing was changed", "`field-notes migrate stamp 0001_a --reason …`"]);
        says(&migrator.stamp("0001", Stamp::RolledBack, "why").await.unwrap_err(), 2, &["0001_a has never run: cannot stamp it as rolled back, which requires a migration that is applied"]);
        assert_eq!(testkit::dump!(db), before);

        let stamped = migrator.stamp("0001", Stamp::Applied, "was done by hand").await.unwrap();
        assert_eq!((stamped.id.as_str(), stamped.from, stamped.to), ("0001_a", None, Stamp::Applied));
        migrator.stamp("0002", Stamp::Applied, "too").await.unwrap();
        assert!(content(&db).await.is_empty());
        let status = migrator.status().await.unwrap();
        assert_eq!(status.applied.iter().map(|e| e.source).collect::<Vec<_>>(), [Some(Source::Stamped); 2]);
        assert_eq!(status.applied[1].warnings, ["x is odd"]);
        let entry = entry(&db, "0001_a").await;
        assert_eq!((entry.get_str("reason").unwrap(), entry.get_str("source").unwrap()), ("was done by hand", "stamped"));
        says(&migrator.stamp("0001", Stamp::Applied, "again").await.unwrap_err(), 2, &["0001_a is applied", "nothing to do"]);
        says(&migrator.stamp("0001", Stamp::RolledBack, "no").await.unwrap_err(), 8, &["0002_b is applied, and depends on 0001_a", "nothing was changed"]);

        let report = migrator.up(UpMode::Start).await.unwrap();
        assert_eq!((report.applied.len(), report.already_applied), (1, 2));
        assert_eq!(log(&db).await, ["stamped 0001_a", "stamped 0002_b", "started 0003_c", "applied 0003_c"]);
    }

    async fn stamped_migration_rolls_back_like_an_imported_one(db: Database) {
        let migrator = migrator(&db, &three());
        db.collection("things").insert_one(doc! { "_id": 1, "x": 1 }).await.unwrap();
        migrator.stamp("0001", Stamp::Applied, "by hand").await.unwrap();
        migrator.stamp("0002", Stamp::Applied, "by hand").await.unwrap();
        let plan = migrator.plan_down(DownTarget::Last).await.unwrap().remove(0);
        assert_eq!((plan.source, plan.losses.len()), (Source::Stamped, 1));
        says(&migrator.down(DownTarget::Last).await.unwrap_err(), 8, &["unsets x on 1 of things", "--yes"]);
        migrator.down(DownTarget::Last.confirmed()).await.unwrap();
        assert_eq!(all(&db, "things").await, [doc! { "_id": 1 }]);
        migrator.down(DownTarget::Last).await.unwrap();
        assert_eq!(migrator.status().await.unwrap().applied.len(), 0);
        // Applied for real it is ours, and has a journal.
        migrator.up(UpMode::Start).await.unwrap();
        assert_eq!(entry(&db, "0002_b").await.get_str("source").unwrap(), "native");
    }

    async fn stamp_rolled_back_discards_the_journal(db: Database) {
        let migrator = migrator(&db, &three());
        migrator.up(UpTarget::Steps(1)).await.unwrap();
        assert!(!all(&db, "_migration_undo").await.is_empty());
        let before = content(&db).await;
        migrator.stamp("0001", Stamp::RolledBack, "rolled back by hand").await.unwrap();
        assert_eq!(content(&db).await, before);
        assert!(all(&db, "_migration_undo").await.is_empty());
        assert_eq!(entry(&db, "0001_a").await.get_str("status").unwrap(), "rolled_back");
    }

    async fn repair_resolves_a_failed_migration(db: Database) {
        let switch = Arc::new(AtomicBool::new(true));
        let migrator = migrator(&db, &stuck(&switch));
        says(&migrator.repair("0001", Repair::Applied, "why").await.unwrap_err(), 2, &["0001_a has never run: cannot repair it, which requires a migration that failed or was interrupted"]);
        migrator.up(UpMode::Start).await.unwrap_err();
        says(&migrator.stamp("0001", Stamp::Applied, "why").await.unwrap_err(), 2, &["0001_a has failed", "`field-notes migrate repair 0001_a --as applied|rolled-back|retry --reason …`"]);
        says(&migrator.repair("0001", Repair::Retry, "").await.unwrap_err(), 2, &["--reason"]);

        // Retry: a start then does what it would not.
        let repaired = migrator.repair("0001", Repair::Retry, "the cause is gone").await.unwrap();
        assert_eq!((repaired.from, repaired.to), (State::Failed, Repair::Retry));
        assert_eq!(migrator.up(UpMode::Start).await.unwrap_err().exit_code(), 1);
        // Once only.
        assert_eq!(migrator.up(UpMode::Start).await.unwrap_err().exit_code(), 4);

        // Rolled back by hand: its journal is deleted, and a start applies it again.
        db.collection("things").delete_many(&Filter::All).await.unwrap();
        migrator.repair("0001", Repair::RolledBack, "deleted by hand").await.unwrap();
        assert!(all(&db, "_migration_undo").await.is_empty());
        assert_eq!(migrator.up(UpMode::Start).await.unwrap_err().exit_code(), 1);

        // Finished by hand: it is applied, and the part that this engine did can be rolled back.
        migrator.repair("0001", Repair::Applied, "finished by hand").await.unwrap();
        let applied = entry(&db, "0001_a").await;
        assert!(!applied.contains_key("error") && applied.get_str("reason").unwrap() == "finished by hand");
        assert_eq!(migrator.up(UpMode::Start).await.unwrap().applied.len(), 1);
        assert_eq!(migrator.down(DownTarget::Steps(2)).await.unwrap().len(), 2);
        assert!(content(&db).await.is_empty());
        let records = migrator.history(&HistoryRequest::default()).await.unwrap();
        let repairs: Vec<_> = records.iter().filter(|r| r.event == "repaired").map(|r| (r.to.as_deref().unwrap(), r.reason.as_deref().unwrap())).collect();
        assert_eq!(repairs, [("retry", "the cause is gone"), ("rolled_back", "deleted by hand"), ("applied", "finished by hand")]);
    }

    async fn interrupted_manual_migration_waits_for_a_decision(db: Database) {
        let switch = Arc::new(AtomicBool::new(false));
        let mut toys = stuck(&switch);
        toys[0] = toys[0].clone().with_meta(|meta| meta.on_interrupt(Recovery::Manual));
        let migrator = migrator(&db, &toys);
        migrator.up(UpMode::Start).await.unwrap();
        // Its runner died.
        let died = Update::new().set("status", "running").unset("applied_at");
        db.collection("_migrations").update_one(&Filter::id("0001_a"), &died).await.unwrap();
        for mode in [UpMode::Start, UpMode::Operator] {
            let error = migrator.up(mode).await.unwrap_err();
            says(&error, 4, &["0001_a was interrupted and requires an operator's decision", "step 0 (things): 1 inserted", "`field-notes migrate repair 0001_a --as retry --reason …`", "`field-notes migrate down`"]);
        }
        migrator.repair("0001", Repair::Retry, "looked at it").await.unwrap();
        assert_eq!(entry(&db, "0001_a").await.get_str("status").unwrap(), "interrupted");
        assert_eq!(migrator.up(UpMode::Start).await.unwrap().applied.len(), 1);
        switch.store(true, Ordering::SeqCst);
    }

    async fn unlock_releases_only_the_lock_of_a_dead_runner(db: Database) {
        let migrator = migrator(&db, &three());
        assert_eq!(migrator.unlock("just in case", false).await.unwrap(), UnlockOutcome::Free);
        assert!(testkit::dump!(db).is_empty());
        let lease = |owner: &str| LeaseRequest {
            collection: "_migration_lock".into(),
            name: "migrations".into(),
            owner: owner.into(),
            ttl: Duration::from_mins(10),
        };
        let held = db.acquire_lease(lease("elsewhere/7/run/place")).await.unwrap().unwrap();
        let before = testkit::dump!(db);
        says(&migrator.unlock("  ", false).await.unwrap_err(), 2, &["--reason"]);
        says(&migrator.unlock("it is dead, I think", false).await.unwrap_err(), 5, &["held by elsewhere/7/run/place", "not known to be dead", "nothing was changed", "expires in"]);
        assert_eq!(testkit::dump!(db), before);
        held.release().await.unwrap();
        assert_eq!(migrator.unlock("just in case", false).await.unwrap(), UnlockOutcome::Free);

        // It expired, and no one has requested it since.
        let held = db.acquire_lease(lease("elsewhere/7/run/place")).await.unwrap().unwrap();
        let long_ago = Update::new().set("expires_at", DateTime::from_millis(1));
        db.collection("_migration_lock").update_one(&Filter::All, &long_ago).await.unwrap();
        let unlocked = migrator.unlock("the machine is gone", false).await.unwrap();
        assert_eq!(unlocked, UnlockOutcome::Released { holder: "elsewhere/7/run/place".into(), ran_out: true });
        drop(held);
        let records = migrator.history(&HistoryRequest::default()).await.unwrap();
        let [record] = &records[..] else { panic!("{records:?}") };
        assert_eq!((record.event.as_str(), record.reason.as_deref(), record.holder.as_deref()), ("unlocked", Some("the machine is gone"), Some("elsewhere/7/run/place")));
        let impatient = Settings { wait: Duration::ZERO, ..settings() };
        Migrator::new(db.clone(), graph(&three()), impatient).up(UpMode::Start).await.unwrap();
    }

    async fn forced_unlock_releases_a_live_lock_and_raises_the_fence(db: Database) {
        let migrator = migrator(&db, &three());
        let lease = LeaseRequest {
            collection: "_migration_lock".into(),
            name: "migrations".into(),
            owner: "elsewhere/7/run/place".into(),
            ttl: Duration::from_hours(480),
        };
        let held = db.acquire_lease(lease).await.unwrap().unwrap();
        assert!(migrator.unlock("the clock was wrong", false).await.is_err());
        let unlocked = migrator.unlock("the clock was wrong", true).await.unwrap();
        assert_eq!(unlocked, UnlockOutcome::Released { holder: "elsewhere/7/run/place".into(), ran_out: false });
        let lock = db.collection("_migration_lock").find_one(Find::new(Filter::All)).await.unwrap().unwrap();
        assert!(lock.get_i64("fence").unwrap() > held.fence(), "{lock}");
        assert!(!held.renew().await.unwrap());
        let impatient = Settings { wait: Duration::ZERO, ..settings() };
        Migrator::new(db.clone(), graph(&three()), impatient).up(UpMode::Start).await.unwrap();
        let records = migrator.history(&HistoryRequest::default()).await.unwrap();
        assert_eq!((records[0].event.as_str(), records[0].reason.as_deref()), ("unlocked", Some("the clock was wrong")));
    }
}
