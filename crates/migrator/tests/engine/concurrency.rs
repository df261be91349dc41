use std::sync::Arc;
use std::time::Duration;

use docstore::bson::{Bson, DateTime, doc};
use docstore::{Database, Field, Filter, LeaseRequest, Update};
use migrator::{Error, Migrator, Settings, UpMode};

use crate::counting::Counting;
use crate::toys::{Action, Meeting, Notes, Toy, all, entry, graph, migrator, settings, toy};

fn three() -> [Toy; 3] {
    [
        toy("0001_a", &[], vec![Action::Insert("things", "a"), Action::Fill("old", "x", 1)]),
        toy("0002_b", &["0001_a"], vec![Action::Insert("things", "b")]),
        toy("0003_c", &["0002_b"], vec![Action::Insert("things", "c")]),
    ]
}

fn paused(meeting: &Arc<Meeting>) -> [Toy; 1] {
    let actions = vec![
        Action::Insert("things", "a"),
        Action::Meet(Arc::clone(meeting)),
        Action::Fill("old", "x", 1),
        Action::Insert("things", "b"),
    ];
    [toy("0001_a", &[], actions)]
}

fn impatient(lease_ttl: Duration, wait: Duration) -> Settings {
    Settings { lease_ttl, wait, ..settings() }
}

testkit::targets! {
    async fn fifty_concurrent_starts_apply_each_migration_once(target: Arc<testkit::Target>) {
        let mut stores = Vec::new();
        for _ in 0..50 {
            stores.push(testkit::open!(target));
        }
        let runs: Vec<_> = stores
            .iter()
            .map(|db| {
                let migrator = migrator(db, &three());
                tokio::spawn(async move { migrator.up(UpMode::Start).await })
            })
            .collect();
        let mut applied = 0;
        for run in runs {
            let report = run.await.unwrap().unwrap();
            assert_eq!(report.applied.len() + report.already_applied, 3);
            applied += report.applied.len();
        }
        assert_eq!(applied, 3);
        let db = &stores[0];
        let expected: Vec<_> = ["0001_a", "0002_b", "0003_c"].iter().flat_map(|id| [format!("started {id}"), format!("applied {id}")]).collect();
        let reported = testkit::dump!(db)["_migration_log"].clone();
        let of_migrations: Vec<_> = reported
            .iter()
            .filter_map(|d| Some(format!("{} {}", d.get_str("event").ok()?, d.get_str("migration").ok()?)))
            .collect();
        assert_eq!(of_migrations, expected);
        for id in ["0001_a", "0002_b", "0003_c"] {
            assert_eq!(entry(db, id).await.get_i32("attempts").unwrap(), 1);
        }
        assert_eq!(all(db, "things").await.len(), 3);
        for store in stores {
            store.close().await;
        }
    }
}

testkit::stores! {
    async fn superseded_holder_writes_nothing(db: Database) {
        db.collection("old").insert_one(doc! { "_id": 1 }).await.unwrap();
        let meeting = Arc::new(Meeting::default());
        let leader = migrator(&db, &paused(&meeting));
        let mut run = tokio::spawn(async move { leader.up(UpMode::Start).await });
        meeting.reached(&mut run).await;
        // What a next holder does first: it has the lease with a greater token, and claims the entry.
        let stolen = Update::new()
            .set("owner", "another")
            .inc("fence", 1_i64)
            .set("expires_at", DateTime::from_millis(DateTime::now().timestamp_millis() + 3_600_000));
        db.collection("_migration_lock").update_one(&Filter::All, &stolen).await.unwrap();
        let fence = entry(&db, "0001_a").await.get_i64("fence").unwrap();
        let claimed = Update::new().set("fence", fence + 1);
        db.collection("_migrations").update_one(&Filter::id("0001_a"), &claimed).await.unwrap();
        let before = testkit::dump!(db);
        meeting.go.notify_one();
        let error = run.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::LeaseLost), "{error}");
        assert_eq!(error.exit_code(), 5);
        assert_eq!(testkit::dump!(db), before);
    }

    async fn lost_lease_ends_a_waiting_run(db: Database) {
        let meeting = Arc::new(Meeting::default());
        let quick = impatient(Duration::from_secs(2), Duration::from_mins(1));
        let leader = Migrator::new(db.clone(), graph(&paused(&meeting)), quick);
        let mut run = tokio::spawn(async move { leader.up(UpMode::Start).await });
        meeting.reached(&mut run).await;
        let stolen = Update::new().set("owner", "another").inc("fence", 1_i64);
        db.collection("_migration_lock").update_one(&Filter::All, &stolen).await.unwrap();
        // Nothing resumes it: only the heartbeat ends it.
        let error = run.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::LeaseLost), "{error}");
        assert_eq!(all(&db, "things").await.len(), 1);
        assert_eq!(entry(&db, "0001_a").await.get_str("status").unwrap(), "running");
    }

    async fn long_run_renews_its_lease(db: Database) {
        let meeting = Arc::new(Meeting::default());
        let quick = impatient(Duration::from_secs(2), Duration::from_mins(1));
        let leader = Migrator::new(db.clone(), graph(&paused(&meeting)), quick);
        let mut run = tokio::spawn(async move { leader.up(UpMode::Start).await });
        meeting.reached(&mut run).await;
        let term = async || all(&db, "_migration_lock").await[0].get_datetime("expires_at").unwrap().timestamp_millis();
        let first = term().await;
        // Its term is moved on to after the end of a second term.
        while term().await < first + 2000 {
            assert!(!run.is_finished(), "the run ended early");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        meeting.go.notify_one();
        assert_eq!(run.await.unwrap().unwrap().applied.len(), 1);
    }

    async fn waiting_runner_resumes_a_dropped_run(db: Database) {
        db.collection("old").insert_one(doc! { "_id": 1 }).await.unwrap();
        let meeting = Arc::new(Meeting::default());
        let quick = impatient(Duration::from_secs(2), Duration::from_mins(1));
        let leader = Migrator::new(db.clone(), graph(&paused(&meeting)), quick.clone());
        let mut run = tokio::spawn(async move { leader.up(UpMode::Start).await });
        meeting.reached(&mut run).await;
        let notes = Arc::new(Notes::default());
        let waiting = Settings { observer: Arc::clone(&notes) as _, ..quick };
        let follower = Migrator::new(db.clone(), graph(&paused(&meeting)), waiting);
        let status = follower.status().await.unwrap();
        assert!(status.pending[0].live);
        run.abort();
        assert!(run.await.unwrap_err().is_cancelled());
        meeting.go.notify_one();
        let report = follower.up(UpMode::Start).await.unwrap();
        assert_eq!(report.applied.len(), 1);
        assert!(notes.0.lock().unwrap().contains(&"started 0001_a 2".to_owned()));
        let counts: Vec<_> = report.applied[0].counts.iter().map(|c| (c.inserted, c.updated)).collect();
        assert_eq!(counts, [(1, 0), (0, 1), (1, 0)]);
        assert_eq!(all(&db, "things").await.len(), 2);
    }

    async fn lock_timeout_names_the_holder(db: Database) {
        let request = LeaseRequest {
            collection: "_migration_lock".into(),
            name: "migrations".into(),
            owner: "somebody/7".into(),
            ttl: Duration::from_mins(10),
        };
        let lease = db.acquire_lease(request).await.unwrap().unwrap();
        let before = testkit::dump!(db);
        let notes = Arc::new(Notes::default());
        let short = impatient(Duration::from_secs(15), Duration::from_millis(200));
        let waiting = Settings { observer: Arc::clone(&notes) as _, ..short };
        let migrator = Migrator::new(db.clone(), graph(&three()), waiting);
        let error = migrator.up(UpMode::Start).await.unwrap_err();
        assert_eq!(error.exit_code(), 5);
        assert!(error.to_string().contains("somebody/7"), "{error}");
        assert!(notes.0.lock().unwrap().contains(&"waiting".to_owned()));
        assert_eq!(testkit::dump!(db), before);
        lease.release().await.unwrap();
        assert_eq!(migrator.up(UpMode::Start).await.unwrap().applied.len(), 3);
    }

    async fn lease_is_acquired_although_the_answer_was_lost(db: Database) {
        let (counted, counts) = Counting::around(&db);
        counts.lose(2);
        let impatient = impatient(Duration::from_secs(15), Duration::ZERO);
        let report = Migrator::new(counted, graph(&three()), impatient.clone()).up(UpMode::Start).await.unwrap();
        assert_eq!(report.applied.len(), 3);
        let holder = db.lease_holder("_migration_lock", "migrations").await.unwrap();
        assert!(holder.is_none_or(|holder| holder.remaining.is_zero()));
        // If the answer is lost for good, that is reported, and the lease expires.
        let four = [three().to_vec(), vec![toy("0004_d", &["0003_c"], vec![])]].concat();
        let (counted, counts) = Counting::around(&db);
        counts.lose(usize::MAX);
        let error = Migrator::new(counted, graph(&four), impatient).up(UpMode::Start).await.unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert!(error.to_string().contains("the answer was lost"), "{error}");
    }

    async fn lease_is_released_after_a_run_and_its_fence_grows(db: Database) {
        migrator(&db, &three()[..1]).up(UpMode::Start).await.unwrap();
        let first = entry(&db, "0001_a").await.get_i64("fence").unwrap();
        migrator(&db, &three()).up(UpMode::Start).await.unwrap();
        assert!(entry(&db, "0002_b").await.get_i64("fence").unwrap() > first);
        let locks = all(&db, "_migration_lock").await;
        assert_eq!(locks.iter().map(|d| d.get(Field::ID.as_str()).cloned()).collect::<Vec<_>>(), [Some(Bson::from("migrations"))]);
        let holder = db.lease_holder("_migration_lock", "migrations").await.unwrap();
        assert!(holder.is_none_or(|holder| holder.remaining.is_zero()));
    }
}
