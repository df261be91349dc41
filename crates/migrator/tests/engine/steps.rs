use std::collections::BTreeMap;

use docstore::bson::{Document, doc};
use docstore::{Database, Filter, Update};
use migrator::{DownRequest, DownTarget, Meta, Migrator, Mode, Settings, UpMode};

use crate::toys::{all, content, settings};
use crate::workers::{DOCUMENTS, ID, Worker, WorkerStep, count_with_field, seed};

const NO: DownRequest = DownRequest { target: DownTarget::Last, confirmed: false };
const MODES: [Mode; 3] = [Mode::Transaction, Mode::Idempotent, Mode::Batched];

fn engine(db: &Database, worker: &Worker) -> Migrator {
    Migrator::new(db.clone(), worker.graph(), settings())
}

/// All content, and the names of indexes.
async fn state(db: &Database) -> (BTreeMap<String, Vec<Document>>, Vec<String>) {
    let indexes = db.list_indexes("things").await.unwrap();
    let mut indexes: Vec<String> = indexes.iter().map(ToString::to_string).collect();
    indexes.sort();
    (content(db).await, indexes)
}

/// A run that is repeated, as if the ledger knew nothing of it, finds nothing to do.
async fn repeated(db: &Database, mode: Mode, step: WorkerStep) {
    let engine = engine(db, &Worker::new(mode, &[step]));
    engine.up(UpMode::Start).await.unwrap();
    let after = state(db).await;
    let journal = all(db, "_migration_undo").await;
    let again = Update::new().set("status", "running");
    db.collection("_migrations").update_one(&Filter::id(ID), &again).await.unwrap();
    engine.up(UpMode::Start).await.unwrap();
    assert!(state(db).await == after, "{mode:?} {step:?} is not idempotent");
    assert!(all(db, "_migration_undo").await == journal, "{mode:?} {step:?} was recorded twice");
    engine.down(NO).await.unwrap();
}

async fn up_and_down(db: &Database, mode: Mode, steps: &[WorkerStep]) {
    let before = state(db).await;
    let engine = engine(db, &Worker::new(mode, steps));
    engine.up(UpMode::Start).await.unwrap();
    assert!(state(db).await != before, "{mode:?} {steps:?} did nothing");
    let losses = engine.plan_down(DownTarget::Last).await.unwrap().remove(0).losses;
    assert!(losses.is_empty(), "{mode:?} {steps:?}: {} {:?}", losses.len(), losses.first());
    let down = engine.down(NO).await.unwrap().remove(0);
    assert!(state(db).await == before, "{mode:?} {steps:?} is not rolled back exactly: {:?}", down.counts);
    assert_eq!((down.warnings.len(), down.counts.iter().map(|c| c.left).sum::<u64>()), (0, 0));
    assert!(all(db, "_migration_undo").await.is_empty());
}

testkit::stores! {
    async fn each_step_is_idempotent_and_undone_exactly_in_each_mode(db: Database) {
        seed(&db, 150).await;
        for mode in MODES {
            for step in DOCUMENTS {
                up_and_down(&db, mode, &[step]).await;
                repeated(&db, mode, step).await;
            }
        }
    }

    async fn steps_on_the_same_documents_are_undone_from_the_last_to_the_first(db: Database) {
        seed(&db, 1300).await;
        let chain = [WorkerStep::Fill, WorkerStep::Insert, WorkerStep::Copy, WorkerStep::CopyField, WorkerStep::Each, WorkerStep::Set, WorkerStep::Unset, WorkerStep::InsertMany];
        for mode in MODES {
            up_and_down(&db, mode, &chain).await;
        }
        up_and_down(&db, Mode::Batched, &[WorkerStep::Fill, WorkerStep::Delete, WorkerStep::Copy]).await;
    }

    async fn indexes_are_created_dropped_and_restored(db: Database) {
        seed(&db, 10).await;
        for mode in [Mode::Idempotent, Mode::Batched] {
            up_and_down(&db, mode, &[WorkerStep::MakeIndex]).await;
            up_and_down(&db, mode, &[WorkerStep::DropIndex]).await;
            up_and_down(&db, mode, &[WorkerStep::DropIndex, WorkerStep::Fill, WorkerStep::MakeIndex]).await;
        }
        // What was there before stays.
        db.ensure_index("things", &docstore::Index::on(["n"]).named("mine")).await.unwrap();
        let migrator = engine(&db, &Worker::new(Mode::Idempotent, &[WorkerStep::MakeIndex]));
        let report = migrator.up(UpMode::Start).await.unwrap();
        assert_eq!((report.applied[0].counts[0].inserted, report.applied[0].counts[0].left), (0, 1));
        migrator.down(NO).await.unwrap();
        assert!(db.list_indexes("things").await.unwrap().iter().any(|index| index.name() == "mine"));
    }

    async fn down_keeps_and_reports_documents_created_since(db: Database) {
        seed(&db, 1300).await;
        let things = db.collection("things");
        let migrator = engine(&db, &Worker::new(Mode::Batched, &[WorkerStep::Delete, WorkerStep::Copy]));
        migrator.up(UpMode::Start).await.unwrap();
        // A deleted one comes back by hand, other than it was; a copy is edited.
        things.insert_one(doc! { "_id": 6, "by": "hand" }).await.unwrap();
        db.collection("copies").update_one(&Filter::id(1250), &Update::new().set("by", "hand")).await.unwrap();
        assert_eq!(migrator.plan_down(DownTarget::Last).await.unwrap().remove(0).losses.len(), 1);
        assert_eq!(migrator.down(NO).await.unwrap_err().exit_code(), 8);
        let down = migrator.down(DownTarget::Last.confirmed()).await.unwrap().remove(0);
        assert_eq!(down.warnings.len(), 1);
        assert!(down.warnings[0].contains("document 6 of things was not restored"), "{:?}", down.warnings);
        assert_eq!(all(&db, "copies").await, [doc! { "_id": 5, "by": "hand" }]);
        assert_eq!(things.count(&Filter::All).await.unwrap(), 1330);
    }

    async fn steps_that_could_not_be_repeated_or_undone_are_refused(db: Database) {
        seed(&db, 3).await;
        for bad in crate::invalid_steps::BAD {
            let migrator = Migrator::new(db.clone(), crate::invalid_steps::graph(bad), settings());
            let before = content(&db).await;
            let error = migrator.up(UpMode::Start).await.unwrap_err();
            assert!(error.to_string().contains(crate::invalid_steps::why(bad)), "{error}");
            assert!(content(&db).await == before);
            migrator.down(NO).await.unwrap();
        }
    }

    async fn migration_without_journal_writes_no_entries(db: Database) {
        seed(&db, 150).await;
        for mode in MODES {
            let worker = Worker::with(Meta::new(ID, "no journal").mode(mode).without_journal(), &[WorkerStep::Fill, WorkerStep::CopyField, WorkerStep::Each]);
            let migrator = engine(&db, &worker);
            let report = migrator.up(UpMode::Start).await.unwrap();
            assert_eq!(report.applied[0].warnings.len(), 0);
            assert_eq!(count_with_field(&db, "things", "color").await, 180);
            assert!(all(&db, "_migration_undo").await.is_empty());
            let error = migrator.down(NO).await.unwrap_err();
            assert!(error.to_string().contains("it has no journal"), "{error}");
            db.drop_collection("_migrations").await.unwrap();
            let things = db.collection("things");
            for field in ["color", "m", "double"] {
                things.update_many(&Filter::All, &Update::new().unset(field)).await.unwrap();
            }
        }
    }

    async fn journal_limit_stops_before_the_batch(db: Database) {
        seed(&db, 3000).await;
        let worker = Worker::new(Mode::Batched, &[WorkerStep::Fill]);
        let small = Settings { journal_cap_bytes: 10_000, ..settings() };
        let error = Migrator::new(db.clone(), worker.graph(), small).up(UpMode::Start).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("exceed 10000 bytes") && text.contains("without_journal"), "{text}");
        assert_eq!(error.exit_code(), 1);
        let bytes: i64 = all(&db, "_migration_undo").await.last().unwrap().get_i64("total").unwrap();
        assert!(bytes <= 10_000);
        // What was done is written down, and a larger journal goes on from there.
        assert!(count_with_field(&db, "things", "color").await < 3030);
        let migrator = engine(&db, &worker);
        migrator.up(UpMode::Operator).await.unwrap();
        assert_eq!(count_with_field(&db, "things", "color").await, 3030);
        migrator.down(NO).await.unwrap();
        assert_eq!(count_with_field(&db, "things", "color").await, 1030);
    }

    async fn expired_journals_are_deleted_and_reported(db: Database) {
        use std::time::Duration;
        seed(&db, 10).await;
        let later = |days: i64| std::sync::Arc::new(move || docstore::bson::DateTime::from_millis(1_700_000_000_000 + days * 86_400_000));
        let first = crate::toys::toy("0000_first", &[], vec![crate::toys::Action::Fill("things", "x", 1)]);
        crate::toys::migrator(&db, std::slice::from_ref(&first)).up(UpMode::Start).await.unwrap();
        let second = crate::toys::toy("0001_second", &["0000_first"], vec![crate::toys::Action::Fill("things", "y", 1)]);
        let both = [first, second];
        let aged = |days| Settings { clock: later(days), journal_keep: Some(Duration::from_hours(48)), ..settings() };
        let migrator = Migrator::new(db.clone(), crate::toys::graph(&both), aged(3));
        migrator.up(UpMode::Start).await.unwrap();
        let journal = all(&db, "_migration_undo").await;
        let of = |entry: &Document| entry.get_document("_id").unwrap().get_str("migration").unwrap().to_owned();
        assert!(!journal.is_empty() && journal.iter().all(|entry| of(entry) == "0001_second"));
        migrator.down(NO).await.unwrap();
        let error = migrator.down(DownTarget::Last.confirmed()).await.unwrap_err();
        assert_eq!(error.exit_code(), 8);
        assert_eq!(count_with_field(&db, "things", "x").await, 40);
    }
}
