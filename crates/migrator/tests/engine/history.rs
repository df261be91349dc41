use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use docstore::bson::{DateTime, doc};
use docstore::{Database, LeaseRequest};
use migrator::{
    DownTarget, HistoryRequest, LogRecord, Meta, Migrator, Mode, Recovery, Settings, Source, Stamp, State,
    UpMode, UpTarget,
};

use crate::counting::Counting;
use crate::toys::{Action, Toy, all, graph, migrator, settings, toy};

fn three() -> [Toy; 3] {
    [
        toy("0001_a", &[], vec![Action::Insert("things", "a"), Action::Warn("a was odd")]),
        toy("0002_b", &["0001_a"], vec![Action::Fill("things", "x", 1)]),
        toy("0003_c", &["0001_a"], vec![]).with_meta(Meta::allow_out_of_order),
    ]
}

fn reported(records: &[LogRecord]) -> Vec<String> {
    records.iter().map(|r| format!("{} {}", r.event, r.migration.as_deref().unwrap_or("-"))).collect()
}

testkit::stores! {
    async fn history_filters_by_migration_and_run(db: Database) {
        let toys = &three()[..2];
        let told_revision = Settings { git_revision: Some("abc123".into()), ..settings() };
        let first = Migrator::new(db.clone(), graph(toys), told_revision);
        first.up(UpTarget::Steps(1)).await.unwrap();
        let later = Settings { clock: Arc::new(|| DateTime::from_millis(1_700_000_100_000)), ..settings() };
        let second = Migrator::new(db.clone(), graph(toys), later);
        second.up(UpMode::Operator).await.unwrap();
        second.down(DownTarget::Last).await.unwrap();

        let records = second.history(&HistoryRequest::default()).await.unwrap();
        assert_eq!(reported(&records), ["started 0001_a", "applied 0001_a", "started 0002_b", "applied 0002_b", "rolling_back 0002_b", "rolled_back 0002_b"]);
        let LogRecord { by, attempt, .. } = &records[0];
        assert_eq!((by.run_id.as_str(), by.actor.as_str(), by.app_version.as_str()), (first.run_id(), "a test", "1.2.3"));
        assert_eq!((by.pid, by.git_revision.as_deref(), *attempt), (i64::from(std::process::id()), Some("abc123"), Some(1)));
        assert!(!by.host.is_empty());
        let applied = &records[1];
        assert_eq!((applied.counts[0].inserted, &applied.warnings[..]), (1, &["a was odd".to_owned()][..]));
        assert!(applied.duration_ms.is_some() && records[2].fence > applied.fence);
        assert_eq!(records[3].by.git_revision, None);

        let of = async |request| reported(&second.history(&request).await.unwrap());
        let one = HistoryRequest { migration: Some("0001".into()), ..HistoryRequest::default() };
        assert_eq!(of(one).await.len(), 2);
        let run = HistoryRequest { run: Some(second.run_id().into()), ..HistoryRequest::default() };
        assert_eq!(of(run).await.len(), 4);
        let since = HistoryRequest { since: Some(DateTime::from_millis(1_700_000_050_000)), ..HistoryRequest::default() };
        assert_eq!(of(since).await.len(), 4);
        let limit = HistoryRequest { limit: Some(2), ..HistoryRequest::default() };
        assert_eq!(of(limit).await, ["rolling_back 0002_b", "rolled_back 0002_b"]);
        let nothing = HistoryRequest { run: Some("zz".into()), ..HistoryRequest::default() };
        assert_eq!(second.history(&nothing).await.unwrap_err().exit_code(), 2);

        let json = doc_of(applied);
        assert_eq!(json["at"], "2023-11-14T22:13:20Z");
        assert_eq!(json["run_id"], first.run_id());
    }

    async fn show_returns_definition_state_and_log(db: Database) {
        let toys = [
            toy("0001_a", &[], vec![Action::Insert("things", "a")])
                .with_meta(|meta| meta.touches(&["things"]).on_interrupt(Recovery::Manual).time_limit(Duration::from_secs(7))),
            toy("0002_b", &["0001_a"], vec![]).with_meta(|meta| meta.contexts(&["demo"])),
        ];
        let migrator = migrator(&db, &toys);
        let before = migrator.show("0001").await.unwrap();
        assert_eq!((before.state, before.attempts, before.log.len()), (None, 0, 0));
        assert_eq!(before.dependents, ["0002_b"]);
        assert!(!migrator.show("0002").await.unwrap().declared.unwrap().in_context);
        migrator.up(UpMode::Operator).await.unwrap();
        let later = doc! { "_id": "0009_later", "status": "applied", "fence": 1_i64, "depends_on": ["0001_a"] };
        db.collection("_migrations").insert_one(later).await.unwrap();
        let shown = migrator.show("0001_a").await.unwrap();
        let declared = shown.declared.as_ref().unwrap();
        assert_eq!((declared.meta.mode, declared.meta.on_interrupt, declared.meta.time_limit), (Mode::Idempotent, Recovery::Manual, Some(Duration::from_secs(7))));
        assert_eq!((declared.meta.touches.len(), declared.in_context), (1, true));
        assert_eq!((shown.state, shown.source, shown.attempts, shown.live), (Some(State::Applied), Some(Source::Native), 1, false));
        assert_eq!(shown.applied_run.as_deref(), Some(migrator.run_id()));
        assert_eq!(shown.by.as_ref().unwrap().actor, "a test");
        assert_eq!(shown.dependents, ["0002_b", "0009_later"]);
        assert_eq!(reported(&shown.log), ["started 0001_a", "applied 0001_a"]);
        let json = doc_of(&shown);
        assert_eq!((&json["declared"]["time_limit_ms"], &json["declared"]["undo"], &json["state"]), (&7000.into(), &"journal".into(), &"applied".into()));
        let unknown = migrator.show("0009").await.unwrap();
        assert!(unknown.declared.is_none() && unknown.state == Some(State::Applied));
    }

    async fn current_returns_applied_migrations_without_applied_dependents(db: Database) {
        let toys = [three().to_vec(), vec![toy("0004_d", &["0002_b", "0003_c"], vec![])]].concat();
        let migrator = migrator(&db, &toys);
        let current = async || migrator.current().await.unwrap().into_iter().map(|e| e.id).collect::<Vec<_>>();
        assert!(current().await.is_empty());
        migrator.up(UpTarget::To("0002".into())).await.unwrap();
        assert_eq!(current().await, ["0002_b"]);
        migrator.up(UpTarget::To("0003".into())).await.unwrap();
        assert_eq!(current().await, ["0002_b", "0003_c"]);
        migrator.up(UpMode::Operator).await.unwrap();
        assert_eq!(current().await, ["0004_d"]);
        let later = doc! { "_id": "0009_later", "status": "applied", "fence": 1_i64, "depends_on": ["0004_d"] };
        db.collection("_migrations").insert_one(later).await.unwrap();
        assert_eq!(current().await, ["0009_later"]);
    }

    async fn failure_is_logged_with_its_error_chain(db: Database) {
        let slug = docstore::Index::on(["by"]).unique();
        db.ensure_index("things", &slug).await.unwrap();
        db.collection("things").insert_one(doc! { "name": "other", "by": "0001_a" }).await.unwrap();
        let migrator = migrator(&db, &[toy("0001_a", &[], vec![Action::Insert("things", "a")])]);
        let error = migrator.up(UpMode::Start).await.unwrap_err();
        let records = migrator.history(&HistoryRequest::default()).await.unwrap();
        let failed = records.last().unwrap();
        assert_eq!((failed.event.as_str(), failed.step.as_deref()), ("failed", Some("step 0")));
        assert_eq!(failed.error.as_deref(), Some(&error.source().unwrap().to_string()[..]));
        assert_eq!(failed.error_chain.first(), failed.error.as_ref());
        assert!(failed.error_chain[0].contains("by_1"), "{failed:?}");
    }

    async fn progress_is_logged_at_the_configured_interval(db: Database) {
        db.collection("things").insert_many((0..2500).map(|i| doc! { "_id": i }).collect()).await.unwrap();
        let toys = [
            toy("0001_a", &[], vec![Action::Fill("things", "x", 1)]),
            toy("0002_b", &["0001_a"], vec![Action::Fill("things", "y", 1)]),
        ];
        let often = Settings { progress_every: Duration::ZERO, ..settings() };
        Migrator::new(db.clone(), graph(&toys), often).up(UpTarget::Steps(1)).await.unwrap();
        let seldom = Settings { progress_every: Duration::from_hours(1), ..settings() };
        let migrator = Migrator::new(db.clone(), graph(&toys), seldom);
        migrator.up(UpMode::Operator).await.unwrap();
        let all = migrator.history(&HistoryRequest { progress: true, ..HistoryRequest::default() }).await.unwrap();
        let done: Vec<_> = all.iter().filter(|r| r.event == "progress").map(|r| (r.migration.clone().unwrap(), r.counts[0].updated)).collect();
        assert!(done.len() >= 2 && done.iter().all(|(id, _)| id == "0001_a"), "{done:?}");
        assert!(done.is_sorted_by_key(|(_, n)| *n) && done.last().unwrap().1 == 2500, "{done:?}");
        assert_eq!(migrator.history(&HistoryRequest::default()).await.unwrap().len(), 4);
        assert!(migrator.show("0001").await.unwrap().log.iter().all(|r| r.event != "progress"));
    }

    async fn lock_wait_is_logged_after_the_wait(db: Database) {
        let request = LeaseRequest {
            collection: "_migration_lock".into(),
            name: "migrations".into(),
            owner: "somebody/7".into(),
            ttl: Duration::from_mins(10),
        };
        let lease = db.acquire_lease(request).await.unwrap().unwrap();
        let notes = Arc::new(crate::toys::Notes::default());
        let waiting = Settings { observer: Arc::clone(&notes) as _, ..settings() };
        let migrator = Arc::new(Migrator::new(db.clone(), graph(&three()[..2]), waiting));
        let run = tokio::spawn({
            let migrator = Arc::clone(&migrator);
            async move { migrator.up(UpMode::Start).await }
        });
        while !notes.0.lock().unwrap().contains(&"waiting".to_owned()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(all(&db, "_migration_log").await.is_empty());
        lease.release().await.unwrap();
        run.await.unwrap().unwrap();
        let records = migrator.history(&HistoryRequest::default()).await.unwrap();
        assert_eq!((records[0].event.as_str(), records[0].holder.as_deref()), ("lock_wait", Some("somebody/7")));
        assert!(records[0].duration_ms.is_some() && records.len() == 5);
    }

    async fn history_and_plans_write_nothing(db: Database) {
        let toys = [three().to_vec(), vec![toy("0004_d", &["0002_b", "0003_c"], vec![])]].concat();
        let (counted, counts) = Counting::around(&db);
        let looking = Migrator::new(counted, graph(&toys), settings());
        let fail = Arc::new(AtomicBool::new(true));
        let failing = [toys[0].clone(), toy("0002_b", &["0001_a"], vec![Action::Fail(fail)])];
        for round in 0..3 {
            looking.current().await.unwrap();
            looking.history(&HistoryRequest { progress: true, ..HistoryRequest::default() }).await.unwrap();
            looking.show("0002").await.unwrap();
            looking.resolve("0002").await.unwrap();
            let _ = looking.plan_up(UpTarget::To("0002".into())).await;
            looking.missing_env(UpMode::Operator).await.unwrap();
            let _ = looking.plan_down(DownTarget::All).await;
            let _ = looking.unlock("", false).await;
            let _ = looking.stamp("0004", Stamp::Applied, "why").await;
            looking.import().await.unwrap();
            assert_eq!(counts.writes(), 0);
            match round {
                0 => drop(migrator(&db, &failing).up(UpMode::Start).await.unwrap_err()),
                1 => drop(migrator(&db, &toys).up(UpTarget::To("0002".into())).await.unwrap()),
                _ => {}
            }
        }
        assert!(counts.reads() > 0);
    }
}

fn doc_of(value: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(value).unwrap()
}
