use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use docstore::bson::{DateTime, Document, doc};
use docstore::{Database, Filter, Index, Update, mongo};
use migrator::{CheckLevel, DownTarget, Event, Migrator, Mode, Observer, Settings, Step, UpMode};
use testkit::Mongod;

use crate::declared::{declared, with};
use crate::toys::{all, content, entry, log, settings};
use crate::workers::{ID, Worker, WorkerStep, count_with_field, seed};

const WORK: [WorkerStep; 3] = [WorkerStep::Fill, WorkerStep::InsertMany, WorkerStep::Copy];

fn engine(db: &Database, worker: &Worker) -> Migrator {
    Migrator::new(db.clone(), worker.graph(), settings())
}

testkit::stores! {
    async fn failed_transaction_leaves_nothing(db: Database) {
        seed(&db, 120).await;
        let before = content(&db).await;
        let error = engine(&db, &Worker::new(Mode::Transaction, &WORK).failing()).up(UpMode::Start).await.unwrap_err();
        assert!(error.to_string().contains("fails on purpose\n  nothing was committed"), "{error}");
        assert!(content(&db).await == before);
        assert!(all(&db, "_migration_undo").await.is_empty());
        let failed = entry(&db, ID).await;
        assert_eq!((failed.get_str("status").unwrap(), failed.get_array("counts").unwrap().len()), ("failed", 0));
        assert_eq!(engine(&db, &Worker::new(Mode::Transaction, &WORK)).up(UpMode::Start).await.unwrap_err().exit_code(), 4);

        let report = engine(&db, &Worker::new(Mode::Transaction, &WORK)).up(UpMode::Operator).await.unwrap();
        // What should hold was looked for within the transaction, where it does.
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        assert_eq!(entry(&db, ID).await.get_array("counts").unwrap().len(), 3);
        assert_eq!(log(&db).await.iter().filter(|event| event.starts_with("applied")).count(), 1);
        assert_eq!(count_with_field(&db, "things", "color").await, 150);
        engine(&db, &Worker::new(Mode::Transaction, &WORK)).down(DownTarget::Last).await.unwrap();
        assert!(content(&db).await == before);
    }

    async fn failure_without_transaction_keeps_committed_batches(db: Database) {
        seed(&db, 50).await;
        for mode in [Mode::Idempotent, Mode::Batched] {
            let error = engine(&db, &Worker::new(mode, &WORK).failing()).up(UpMode::Operator).await.unwrap_err();
            assert!(error.to_string().contains("already committed:\n    Fill (things): 33 changed"), "{error}");
            assert_eq!(count_with_field(&db, "things", "color").await, 80);
            engine(&db, &Worker::new(mode, &WORK)).down(DownTarget::Last).await.unwrap();
            assert_eq!(count_with_field(&db, "things", "color").await, 47);
        }
    }

    async fn transaction_over_the_document_limit_is_refused(db: Database) {
        seed(&db, 10_000).await;
        let before = content(&db).await;
        let error = engine(&db, &Worker::new(Mode::Transaction, &[WorkerStep::InsertMany, WorkerStep::Set])).up(UpMode::Start).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("it would change 10480 documents in one transaction; the limit is 10000"), "{text}");
        assert!(content(&db).await == before);
        // As many as it may.
        db.collection("things").delete_many(&Filter::gte("_id", 9000)).await.unwrap();
        engine(&db, &Worker::new(Mode::Transaction, &[WorkerStep::Set])).up(UpMode::Operator).await.unwrap();
    }

    async fn index_step_in_a_transaction_is_refused_before_the_run(db: Database) {
        seed(&db, 5).await;
        let before = content(&db).await;
        for step in [WorkerStep::MakeIndex, WorkerStep::DropIndex] {
            let worker = Worker::new(Mode::Transaction, &[WorkerStep::Fill, step]);
            let error = engine(&db, &worker).up(UpMode::Operator).await.unwrap_err();
            assert_eq!(error.exit_code(), 7);
            assert!(error.to_string().contains("defines an index, which no transaction can"), "{error}");
            assert!(content(&db).await == before);
            assert_eq!(db.list_indexes("things").await.unwrap().len(), 1);
            // Before it was begun: the ledger knows nothing of it.
            assert!(all(&db, "_migrations").await.is_empty());
            let preflight = engine(&db, &worker).preflight(&UpMode::Operator.into()).await;
            let reported = preflight.checks.iter().find(|check| check.name == "modes").unwrap();
            assert!(reported.level == CheckLevel::Error && reported.text.contains("which no transaction can"), "{}", reported.text);
        }
        let steps = vec![Step::create_index("index", "things", Index::on(["color"]))];
        let declared = declared("0001_a", steps).mode(Mode::Transaction);
        let error = with(&db, &[declared], settings()).up(UpMode::Start).await.unwrap_err();
        assert_eq!((error.exit_code(), all(&db, "_migrations").await.len()), (7, 0));
    }

    async fn concurrent_writes_proceed_during_a_batched_run(db: Database) {
        seed(&db, 2000).await;
        for mode in [Mode::Transaction, Mode::Idempotent, Mode::Batched] {
            let over = Arc::new(AtomicBool::new(false));
            let others = tokio::spawn({
                let (db, over) = (db.clone(), Arc::clone(&over));
                async move {
                    let mut writes = 0_i32;
                    // Who changes documents without a pause keeps a transaction over all of them from ever ending.
                    let (most, pause) = if mode == Mode::Transaction { (40, 25) } else { (i32::MAX, 1) };
                    while !over.load(Ordering::SeqCst) && writes < most {
                        tokio::time::sleep(Duration::from_millis(pause)).await;
                        let update = Update::new().set("seen", writes);
                        db.collection("things").update_one(&Filter::id(writes * 37 % 2000), &update).await.unwrap();
                        writes += 1;
                    }
                    writes
                }
            });
            let worker = Worker::new(mode, &[WorkerStep::Fill, WorkerStep::CopyField]);
            engine(&db, &worker).up(UpMode::Start).await.unwrap();
            assert_eq!((count_with_field(&db, "things", "color").await, count_with_field(&db, "things", "m").await), (2030, 2030));
            engine(&db, &worker).down(DownTarget::Last).await.unwrap();
            assert_eq!((count_with_field(&db, "things", "color").await, count_with_field(&db, "things", "m").await), (697, 0));
            over.store(true, Ordering::SeqCst);
            assert!(others.await.unwrap() > 0);
        }
        assert!(count_with_field(&db, "things", "seen").await > 0);
    }
}

async fn opened(server: &Mongod) -> Database {
    let database = Some("modes".to_owned());
    mongo::connect(mongo::Options { uri: server.uri(), database, app_name: "tests".into() }).await.unwrap()
}

#[test]
fn transaction_mode_without_transactions_is_refused_unless_overridden() {
    testkit::with_server_binary(|binary: PathBuf| async move {
        let server = Mongod::standalone(&binary).await.unwrap();
        let db = opened(&server).await;
        seed(&db, 30).await;
        let before: std::collections::BTreeMap<String, Vec<Document>> = content(&db).await;
        let worker = Worker::new(Mode::Transaction, &WORK);
        let error = engine(&db, &worker).up(UpMode::Start).await.unwrap_err();
        assert_eq!(error.exit_code(), 8);
        assert!(error.to_string().contains("0001_work cannot run in its mode"), "{error}");
        assert!(content(&db).await == before);
        assert!(all(&db, "_migrations").await.is_empty());

        let anyway = Settings { without_transactions: true, ..settings() };
        Migrator::new(db.clone(), worker.graph(), anyway).up(UpMode::Start).await.unwrap();
        assert_eq!(count_with_field(&db, "things", "color").await, 60);
        engine(&db, &worker).down(DownTarget::Last).await.unwrap();
        assert!(content(&db).await == before);
    });
}

#[test]
fn every_step_is_rolled_back_exactly_without_transactions() {
    testkit::with_server_binary(|binary: PathBuf| async move {
        let server = Mongod::standalone(&binary).await.unwrap();
        let db = opened(&server).await;
        seed(&db, 450).await;
        // Its value has to match before it is changed, arrays and documents too.
        db.collection("things")
            .insert_one(doc! { "_id": "odd", "n": [1, { "a": 2 }], "m": { "b": 1 } })
            .await
            .unwrap();
        let before = content(&db).await;
        for mode in [Mode::Idempotent, Mode::Batched] {
            for step in crate::workers::DOCUMENTS {
                let worker = Worker::new(mode, &[step]);
                engine(&db, &worker).up(UpMode::Start).await.unwrap();
                assert!(content(&db).await != before, "{mode:?} {step:?}");
                engine(&db, &worker).down(DownTarget::Last).await.unwrap();
                assert!(content(&db).await == before, "{mode:?} {step:?} is not rolled back exactly");
            }
        }
    });
}

/// Counts the boundaries between writes.
#[derive(Default)]
struct Boundaries(AtomicUsize);

impl Observer for Boundaries {
    fn event(&self, event: &Event<'_>) {
        if matches!(event, Event::Boundary { .. }) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[test]
fn collection_of_a_kind_that_cannot_be_migrated_fails_a_run_at_once_with_the_reason() {
    testkit::with_server_binary(|binary: PathBuf| async move {
        let server = Mongod::replica_set(&binary).await.unwrap();
        let db = opened(&server).await;
        let notes = mongo::as_mongo(&db).unwrap();
        for (options, documents_in, reason) in [
            (doc! { "capped": true, "size": 1_000_000 }, "things", "capped collection"),
            (doc! { "viewOn": "others", "pipeline": [] }, "others", "is a view"),
            (doc! { "timeseries": { "timeField": "t" } }, "things", "things: "),
        ] {
            for mode in [Mode::Transaction, Mode::Idempotent, Mode::Batched] {
                for step in [WorkerStep::Fill, WorkerStep::Each, WorkerStep::Delete] {
                    let mut create = doc! { "create": "things" };
                    create.extend(options.clone());
                    notes.run_command(create).await.unwrap();
                    let mut document = doc! { "_id": 1, "n": 1, "t": DateTime::now() };
                    if step == WorkerStep::Delete {
                        document.insert("color", "red");
                    }
                    notes.collection(documents_in).insert_one(document).await.unwrap();
                    let boundaries = Arc::new(Boundaries::default());
                    let settings = Settings { observer: Arc::clone(&boundaries) as _, ..settings() };
                    let migrator = Migrator::new(db.clone(), Worker::new(mode, &[step]).graph(), settings);
                    let error = migrator.up(UpMode::Start).await.unwrap_err().to_string();
                    let first = error.lines().next().unwrap_or_default();
                    assert!(
                        first.contains(reason) && !first.contains("conflict"),
                        "{mode:?} {step:?}: {first}"
                    );
                    let boundaries = boundaries.0.load(Ordering::SeqCst);
                    assert!(boundaries < 10, "{mode:?} {step:?} was retried: {boundaries}: {first}");
                    notes.drop().await.unwrap();
                }
            }
        }
    });
}
