use std::sync::{Arc, Mutex};
use std::time::Duration;

use docstore::bson::{DateTime, doc};
use docstore::{Database, LeaseRequest};
use migrator::{
    CancellationToken, DownTarget, Error, Event, Migrator, Observer, Recovery, Settings, State, UpMode,
};

use crate::toys::{Action, Meeting, Notes, Toy, all, content, entry, graph, log, migrator, settings, toy};

fn stopping(db: &Database, toys: &[Toy], stop: &CancellationToken) -> Migrator {
    Migrator::new(db.clone(), graph(toys), Settings { stop: stop.clone(), ..settings() })
}

fn two(stop: &CancellationToken) -> [Toy; 2] {
    let actions = vec![
        Action::Insert("things", "a"),
        Action::Stop(stop.clone()),
        Action::Insert("things", "b"),
        Action::Insert("things", "c"),
    ];
    [toy("0001_a", &[], actions), toy("0002_b", &["0001_a"], vec![Action::Insert("things", "d")])]
}

/// Tells a run to stop at the first event of a kind.
struct StopAt {
    stop: CancellationToken,
    at: fn(&Event<'_>) -> bool,
    seen: Mutex<Vec<String>>,
}

impl Observer for StopAt {
    fn event(&self, event: &Event<'_>) {
        self.seen.lock().unwrap().push(format!("{event:?}"));
        if (self.at)(event) {
            self.stop.cancel();
        }
    }
}

fn says(error: &Error, code: u8, parts: &[&str]) {
    assert_eq!(error.exit_code(), code, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "no {part:?} in: {error}");
    }
}

testkit::stores! {
    async fn stop_request_interrupts_between_two_batches(db: Database) {
        let stop = CancellationToken::new();
        let error = stopping(&db, &two(&stop), &stop).up(UpMode::Start).await.unwrap_err();
        says(&error, 130, &["stopped on request during 0001_a", "it has not failed", "step 0 (things): 1 inserted", "`field-notes migrate up`", "`field-notes migrate down`"]);
        assert_eq!(all(&db, "things").await.len(), 1);
        let entry = entry(&db, "0001_a").await;
        assert_eq!(entry.get_str("status").unwrap(), "interrupted");
        assert!(!entry.contains_key("error"));
        assert_eq!(log(&db).await, ["started 0001_a", "interrupted 0001_a"]);
        let status = migrator(&db, &two(&stop)).status().await.unwrap();
        assert_eq!((status.pending[0].state, status.failed.len()), (Some(State::Interrupted), 0));
        // A start resumes it without waiting for a lease.
        let impatient = Settings { wait: Duration::ZERO, ..settings() };
        let next = Migrator::new(db.clone(), graph(&two(&CancellationToken::new())), impatient);
        let report = next.up(UpMode::Start).await.unwrap();
        assert_eq!((report.applied.len(), report.applied[0].counts.len()), (2, 3));
        assert_eq!(all(&db, "things").await.len(), 4);
    }

    async fn stop_request_before_the_run_changes_nothing(db: Database) {
        let stop = CancellationToken::new();
        stop.cancel();
        let error = stopping(&db, &two(&stop), &stop).up(UpMode::Start).await.unwrap_err();
        says(&error, 130, &["stopped on request between two migrations", "run it again to resume"]);
        assert!(content(&db).await.is_empty() && all(&db, "_migrations").await.is_empty());
    }

    async fn stop_request_between_migrations_leaves_no_trace(db: Database) {
        let stop = CancellationToken::new();
        let at = |event: &Event<'_>| matches!(event, Event::Applied { .. });
        let observer = Arc::new(StopAt { stop: stop.clone(), at, seen: Mutex::default() });
        let reported = Settings { stop: stop.clone(), observer, ..settings() };
        let toys = [toy("0001_a", &[], vec![]), toy("0002_b", &["0001_a"], vec![])];
        let error = Migrator::new(db.clone(), graph(&toys), reported).up(UpMode::Start).await.unwrap_err();
        says(&error, 130, &["between two migrations"]);
        assert_eq!(log(&db).await, ["started 0001_a", "applied 0001_a"]);
        assert_eq!(migrator(&db, &toys).up(UpMode::Start).await.unwrap().applied.len(), 1);
    }

    async fn stopped_rollback_is_finished_later(db: Database) {
        db.collection("things").insert_one(doc! { "_id": 1 }).await.unwrap();
        let before = content(&db).await;
        let toys = [toy("0001_a", &[], vec![Action::Fill("things", "x", 1), Action::Insert("things", "a")])];
        migrator(&db, &toys).up(UpMode::Start).await.unwrap();
        let stop = CancellationToken::new();
        let at = |event: &Event<'_>| matches!(event, Event::RollingBack { .. });
        let observer = Arc::new(StopAt { stop: stop.clone(), at, seen: Mutex::default() });
        let reported = Settings { stop, observer, ..settings() };
        let error = Migrator::new(db.clone(), graph(&toys), reported).down(DownTarget::Last).await.unwrap_err();
        says(&error, 130, &["stopped on request during the rollback of 0001_a", "`field-notes migrate down` to finish it"]);
        let half = entry(&db, "0001_a").await;
        assert!(half.get_str("status").unwrap() == "rolling_back" && !half.contains_key("error"));
        assert_eq!(migrator(&db, &toys).down(DownTarget::Last).await.unwrap().len(), 1);
        assert_eq!(content(&db).await, before);
    }

    async fn stop_request_ends_the_wait_for_the_lease(db: Database) {
        let request = LeaseRequest {
            collection: "_migration_lock".into(),
            name: "migrations".into(),
            owner: "somebody/7".into(),
            ttl: Duration::from_mins(10),
        };
        let lease = db.acquire_lease(request).await.unwrap().unwrap();
        let stop = CancellationToken::new();
        let notes = Arc::new(Notes::default());
        let waiting = Settings { stop: stop.clone(), observer: Arc::clone(&notes) as _, wait: Duration::from_hours(1), ..settings() };
        let migrator = Arc::new(Migrator::new(db.clone(), graph(&two(&stop)), waiting));
        let runs = [true, false].map(|up| {
            let migrator = Arc::clone(&migrator);
            tokio::spawn(async move { if up { migrator.up(UpMode::Start).await.map(|_| ()) } else { migrator.wait().await } })
        });
        while notes.0.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
        for run in runs {
            let error = run.await.unwrap().unwrap_err();
            assert!(matches!(error, Error::WaitInterrupted), "{error}");
            assert!(error.exit_code() == 130 && error.to_string().ends_with("while waiting; nothing was changed"), "{error}");
        }
        lease.release().await.unwrap();
    }

    async fn stopped_manual_migration_waits_for_a_decision(db: Database) {
        let stop = CancellationToken::new();
        let toys = two(&stop).map(|toy| toy.with_meta(|meta| meta.on_interrupt(Recovery::Manual)));
        stopping(&db, &toys, &stop).up(UpMode::Start).await.unwrap_err();
        assert!(matches!(migrator(&db, &toys).up(UpMode::Start).await.unwrap_err(), Error::DecisionRequired { .. }));
        assert_eq!(migrator(&db, &toys).down(DownTarget::Last).await.unwrap().len(), 1);
        assert!(content(&db).await.is_empty());
    }

    async fn time_limit_fails_a_long_migration(db: Database) {
        let toys = |limit| {
            let actions = vec![Action::Insert("things", "a"), Action::Insert("things", "b")];
            [toy("0001_a", &[], actions).with_meta(move |meta| match limit {
                Some(limit) => meta.time_limit(limit),
                None => meta,
            })]
        };
        let error = migrator(&db, &toys(Some(Duration::ZERO))).up(UpMode::Start).await.unwrap_err();
        says(&error, 1, &["0001_a failed in step \"step 0\": exceeded its time limit of 0 s", "already committed", "`field-notes migrate up`"]);
        assert_eq!(entry(&db, "0001_a").await.get_str("status").unwrap(), "failed");
        assert!(content(&db).await.is_empty());
        // What it says itself goes before what is said of all.
        let short = Settings { time_limit: Some(Duration::ZERO), ..settings() };
        let all_short = |toys: &[Toy]| Migrator::new(db.clone(), graph(toys), short.clone());
        says(&all_short(&toys(None)).up(UpMode::Operator).await.unwrap_err(), 1, &["time limit"]);
        all_short(&toys(Some(Duration::from_hours(1)))).up(UpMode::Operator).await.unwrap();
        assert_eq!(all(&db, "things").await.len(), 2);
    }

    async fn time_limit_drops_a_migration_that_reaches_no_batch(db: Database) {
        let meeting = Arc::new(Meeting::default());
        let actions = vec![Action::Insert("things", "a"), Action::Meet(Arc::clone(&meeting)), Action::Insert("things", "b")];
        let toys = [toy("0001_a", &[], actions).with_meta(|meta| meta.time_limit(Duration::from_millis(500)))];
        // Nothing ever resumes it.
        let error = migrator(&db, &toys).up(UpMode::Start).await.unwrap_err();
        says(&error, 1, &["its time limit of 0.5 s"]);
        assert_eq!(all(&db, "things").await.len(), 1);
        let free = db.lease_holder("_migration_lock", "migrations").await.unwrap();
        assert!(free.is_none_or(|holder| holder.remaining.is_zero()));
    }

    async fn clock_skew_between_runners_changes_nothing(db: Database) {
        let hour = 3_600_000;
        let now = DateTime::now().timestamp_millis();
        let meeting = Arc::new(Meeting::default());
        let actions = vec![Action::Insert("things", "a"), Action::Meet(Arc::clone(&meeting)), Action::Insert("things", "b")];
        let toys = [toy("0001_a", &[], actions), toy("0002_b", &["0001_a"], vec![Action::Insert("things", "c")])];
        let with_clock = |off: i64| {
            let clock = Arc::new(move || DateTime::from_millis(now + off));
            Migrator::new(db.clone(), graph(&toys), Settings { clock, ..settings() })
        };
        let leader = with_clock(-hour);
        let mut run = tokio::spawn(async move { leader.up(UpMode::Start).await });
        meeting.reached(&mut run).await;
        let follower = with_clock(hour);
        assert!(follower.status().await.unwrap().pending[0].live);
        let mut waiting = tokio::spawn(async move { follower.up(UpMode::Start).await });
        assert!(tokio::time::timeout(Duration::from_millis(500), &mut waiting).await.is_err());
        meeting.go.notify_one();
        assert_eq!(run.await.unwrap().unwrap().applied.len(), 2);
        assert_eq!(waiting.await.unwrap().unwrap().already_applied, 2);
        assert_eq!(all(&db, "things").await.len(), 3);
        // The last is the last by its place, whatever the clocks said.
        let ahead = with_clock(hour);
        assert_eq!(ahead.down(DownTarget::Last).await.unwrap()[0].id, "0002_b");
    }
}
