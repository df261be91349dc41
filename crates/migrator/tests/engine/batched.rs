use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use docstore::bson::{Bson, Document, doc};
use docstore::{Database, Filter};
use migrator::{DownTarget, Event, Migrator, Mode, Observer, Settings, UpMode};

use crate::counting::Counting;
use crate::toys::{all, content, entry, settings};
use crate::workers::{ID, Worker, WorkerStep, count_with_field, seed};

/// Ends the run, without a chance to tidy up, after this number of batches.
struct Breaker {
    left: AtomicUsize,
}

/// The panic payload of a crash, which is no panic of the migration.
struct Crash;

impl Observer for Breaker {
    fn event(&self, event: &Event<'_>) {
        if matches!(event, Event::Progress { .. }) && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            resume_unwind(Box::new(Crash));
        }
    }
}

fn breaking(db: &Database, worker: &Worker, after: usize) -> Migrator {
    let observer = Arc::new(Breaker { left: AtomicUsize::new(after) });
    let settings = Settings { observer, lease_ttl: Duration::from_secs(2), ..settings() };
    Migrator::new(db.clone(), worker.graph(), settings)
}

/// Reads the position of the running step from the ledger.
async fn cursor(db: &Database) -> Option<Document> {
    entry(db, ID).await.get_document("cursor").ok().cloned()
}

fn ids_in(journal: &[Document]) -> Vec<String> {
    let ids = journal.iter().flat_map(|entry| entry.get_array("ids").cloned().unwrap_or_default());
    ids.map(|id: Bson| format!("{id:?}")).collect()
}

testkit::stores! {
    async fn interrupted_backfill_resumes_at_its_cursor(db: Database) {
        seed(&db, 900).await;
        let before = content(&db).await;
        let worker = Worker::new(Mode::Batched, &[WorkerStep::Fill, WorkerStep::Each]);
        let mut passed = 0;
        for attempt in 0..5 {
            let migrator = breaking(&db, &worker, 1);
            let run = tokio::spawn(async move { migrator.up(UpMode::Start).await });
            assert!(run.await.unwrap_err().is_panic());
            let kept = cursor(&db).await.unwrap();
            assert_eq!(kept.get_str("step").unwrap(), "Fill");
            let last = kept.get_document("pages").unwrap().get_array("last").unwrap()[0].as_i32().unwrap();
            assert!(last > passed, "attempt {attempt} came from {passed} to {last}");
            passed = last;
        }
        engine(&db, &worker).up(UpMode::Start).await.unwrap();
        assert_eq!(cursor(&db).await, None);
        assert_eq!(entry(&db, ID).await.get_i32("attempts").unwrap(), 6);
        assert_eq!((count_with_field(&db, "things", "color").await, count_with_field(&db, "things", "double").await), (930, 900));
        let counts = entry(&db, ID).await.get_array("counts").unwrap().clone();
        let updated: Vec<i64> = counts.iter().map(|c| c.as_document().unwrap().get_i64("updated").unwrap()).collect();
        assert_eq!(updated, [600, 900]);
        // Nothing was met twice.
        let fills: Vec<Document> = all(&db, "_migration_undo").await.into_iter().filter(|e| e.get_str("step").is_ok_and(|step| step == "Fill")).collect();
        let ids = ids_in(&fills);
        assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (600, 600));
        engine(&db, &worker).down(DownTarget::Last).await.unwrap();
        assert!(content(&db).await == before);
    }

    async fn interrupted_rollback_of_a_backfill_resumes(db: Database) {
        seed(&db, 400).await;
        let before = content(&db).await;
        let worker = Worker::new(Mode::Batched, &[WorkerStep::Fill, WorkerStep::CopyField, WorkerStep::Delete]);
        engine(&db, &worker).up(UpMode::Start).await.unwrap();
        let entries = all(&db, "_migration_undo").await.len();
        assert!((5..40).contains(&entries), "{entries}");
        let observer = Arc::new(AtBoundary { left: AtomicUsize::new(entries * 3 / 2) });
        let settings = Settings { observer, lease_ttl: Duration::from_secs(2), ..settings() };
        let migrator = Migrator::new(db.clone(), worker.graph(), settings);
        let run = tokio::spawn(async move { migrator.down(DownTarget::Last).await });
        assert!(run.await.unwrap_err().is_panic());
        let left = all(&db, "_migration_undo").await.len();
        assert!(left > 0 && left < entries, "{left} of {entries}");
        engine(&db, &worker).down(DownTarget::Last).await.unwrap();
        assert!(content(&db).await == before);
    }

    async fn completed_step_is_not_scanned_again(db: Database) {
        seed(&db, 100).await;
        let worker = Worker::new(Mode::Batched, &[WorkerStep::Fill, WorkerStep::CopyField]);
        engine(&db, &worker.clone().failing()).up(UpMode::Start).await.unwrap_err();
        let kept = cursor(&db).await.unwrap();
        assert_eq!(kept.get_array("done").unwrap(), &[Bson::from("Fill"), Bson::from("CopyField")]);
        // What comes behind the cursor is not of this run.
        db.collection("things").insert_one(doc! { "_id": -1 }).await.unwrap();
        let report = engine(&db, &worker).up(UpMode::Operator).await.unwrap();
        assert_eq!(count_with_field(&db, "things", "color").await, 130);
        // But it is found.
        assert_eq!(report.findings.len(), 1);
        // A rollback starts from the beginning.
        engine(&db, &worker).down(DownTarget::Last).await.unwrap();
        assert_eq!(cursor(&db).await, None);
        engine(&db, &worker).up(UpMode::Start).await.unwrap();
        assert_eq!(count_with_field(&db, "things", "color").await, 131);
    }

    async fn large_documents_make_small_batches(db: Database) {
        let large = "x".repeat(100_000);
        let documents = (0..120).map(|i| doc! { "_id": i, "color": "red", "text": format!("{i}{large}") });
        db.collection("things").insert_many(documents.collect()).await.unwrap();
        let before = content(&db).await;
        let worker = Worker::new(Mode::Batched, &[WorkerStep::Delete]);
        engine(&db, &worker).up(UpMode::Start).await.unwrap();
        assert!(all(&db, "things").await.is_empty());
        let journal = all(&db, "_migration_undo").await;
        assert!(journal.len() >= 3, "{}", journal.len());
        for entry in &journal {
            assert!(entry.get_array("documents").unwrap().len() <= 42);
        }
        engine(&db, &worker).down(DownTarget::Last).await.unwrap();
        assert!(content(&db).await == before);
    }

    async fn batches_wait_for_lagging_secondaries(db: Database) {
        seed(&db, 500).await;
        let (lagging, counts) = Counting::around(&db);
        counts.be_behind(&[60, 30, 0]);
        let migrator = Migrator::new(lagging, Worker::new(Mode::Batched, &[WorkerStep::Fill]).graph(), settings());
        migrator.up(UpMode::Start).await.unwrap();
        assert!(counts.asked_for_lag() >= 3, "{}", counts.asked_for_lag());
        assert_eq!(count_with_field(&db, "things", "color").await, 530);
    }

    async fn start_with_nothing_pending_makes_at_most_three_reads(db: Database) {
        let worker = Worker::new(Mode::Batched, &[WorkerStep::Insert]);
        engine(&db, &worker).up(UpMode::Start).await.unwrap();
        let (counted, counts) = Counting::around(&db);
        let settings = Settings { import_from: Some("earlier".into()), ..settings() };
        Migrator::new(counted, worker.graph(), settings.clone()).up(UpMode::Start).await.unwrap();
        assert_eq!((counts.writes(), counts.reads() <= 3), (0, true), "{} reads", counts.reads());

        // The server's own count, where there is a server.
        let Some(raw) = docstore::mongo::as_mongo(&db) else { return };
        raw.run_command(doc! { "profile": 2 }).await.unwrap();
        Migrator::new(db.clone(), worker.graph(), settings).up(UpMode::Start).await.unwrap();
        raw.run_command(doc! { "profile": 0 }).await.unwrap();
        let profile = raw.collection::<Document>("system.profile");
        let commands = profile.count_documents(doc! { "command.profile": { "$exists": false } }).await.unwrap();
        assert!((1..=3).contains(&commands), "{commands} commands");
        assert_eq!(db.collection("things").count(&Filter::All).await.unwrap(), 1);
    }
}

/// Ends the run between two writes.
struct AtBoundary {
    left: AtomicUsize,
}

impl Observer for AtBoundary {
    fn event(&self, event: &Event<'_>) {
        if matches!(event, Event::Boundary { .. }) && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            resume_unwind(Box::new(Crash));
        }
    }
}

fn engine(db: &Database, worker: &Worker) -> Migrator {
    Migrator::new(db.clone(), worker.graph(), settings())
}
