//! A runner is killed between two writes, with every kind of step, in every mode and in both directions. Its successor
//! reaches the same state as an undisturbed run, and a rollback restores the initial state exactly.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

/// Settings shared by all processes.
#[path = "../processes/settings.rs"]
mod settings;
/// Migrations of every kind of step.
#[path = "../engine/workers.rs"]
#[expect(dead_code, reason = "the tests of the engine need more of it")]
mod workers;

use std::collections::BTreeMap;
use std::sync::Arc;

use docstore::Database;
use docstore::bson::Document;
use migrator::{DownTarget, Event, Migrator, Mode, Observer, UpMode};
use testkit::child::{self, Countdown, Stores, Topology, kill_self, run_until_killed};

use crate::settings::settings;
use crate::workers::{Worker, WorkerStep};

/// Number of documents: more than one batch.
const DOCUMENTS: i32 = 110;
const MODES: [Mode; 3] = [Mode::Transaction, Mode::Idempotent, Mode::Batched];

/// The direction of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Task {
    Up,
    Down,
}

/// Returns the steps that a mode supports.
fn steps(mode: Mode) -> Vec<WorkerStep> {
    let documents = [
        WorkerStep::Fill,
        WorkerStep::Insert,
        WorkerStep::CopyField,
        WorkerStep::Each,
        WorkerStep::InsertMany,
        WorkerStep::Copy,
        WorkerStep::Delete,
        WorkerStep::Unset,
    ];
    let mut steps = documents.to_vec();
    if mode != Mode::Transaction {
        steps.insert(1, WorkerStep::DropIndex);
        steps.insert(3, WorkerStep::MakeIndex);
    }
    steps
}

fn migrator(db: &Database, mode: Mode, observer: Option<Arc<dyn Observer>>) -> Migrator {
    Migrator::new(db.clone(), Worker::new(mode, &steps(mode)).graph(), settings(observer))
}

async fn execute(migrator: &Migrator, task: Task) {
    match task {
        Task::Up => drop(migrator.up(UpMode::Start).await.unwrap()),
        Task::Down => drop(migrator.down(DownTarget::Last).await.unwrap()),
    }
}

/// Kills its process at the chosen boundary.
struct Killer(Countdown);

impl Observer for Killer {
    fn event(&self, event: &Event<'_>) {
        if matches!(event, Event::Boundary { .. }) && self.0.is_reached() {
            kill_self("a step");
        }
    }
}

/// The child of these tests.
#[test]
fn child() {
    child::run(|task, location| async move {
        let [task, mode, boundary] = task.split(' ').collect::<Vec<_>>()[..] else { panic!("{task}") };
        let task = if task == "Up" { Task::Up } else { Task::Down };
        let mode = *MODES.iter().find(|known| format!("{known:?}") == mode).unwrap();
        let killer = Killer(Countdown::new(boundary.parse().unwrap()));
        let db = testkit::open_location!(location);
        execute(&migrator(&db, mode, Some(Arc::new(killer))), task).await;
        db.close().await;
    });
}

/// The state that must not depend on interruptions: documents, indexes, and the entries of the ledger.
#[derive(PartialEq)]
struct State {
    content: BTreeMap<String, Vec<Document>>,
    indexes: Vec<String>,
    ledger: Vec<Document>,
}

async fn state(db: &Database) -> State {
    let mut content = testkit::dump!(db);
    let mut ledger = content.remove("_migrations").unwrap_or_default();
    for entry in &mut ledger {
        let kept = ["_id", "status", "warnings", "cursor"];
        *entry = kept.iter().filter_map(|key| Some(((*key).to_owned(), entry.get(*key)?.clone()))).collect();
    }
    content.retain(|name, documents| !name.starts_with("_migration") && !documents.is_empty());
    let indexes = db.list_indexes("things").await.unwrap();
    let mut indexes: Vec<String> = indexes.iter().map(ToString::to_string).collect();
    indexes.sort();
    State { content, indexes, ledger }
}

struct Scenario {
    stores: Stores,
    task: Task,
    mode: Mode,
}

impl Scenario {
    /// Creates the initial data, brings it to where the task starts, and returns the initial state.
    async fn prepare(&self, db: &Database) -> State {
        workers::seed(db, DOCUMENTS).await;
        let initial = state(db).await;
        if self.task == Task::Down {
            execute(&migrator(db, self.mode, None), Task::Up).await;
        }
        initial
    }

    /// Returns the states before and after an undisturbed run.
    async fn run_undisturbed(&self) -> (State, State) {
        let (location, _folder) = self.stores.create("undisturbed");
        let db = testkit::open_location!(location);
        let initial = self.prepare(&db).await;
        execute(&migrator(&db, self.mode, None), self.task).await;
        let end = state(&db).await;
        db.close().await;
        (initial, end)
    }

    /// Kills a run at a boundary and compares the state after its successor with the expected one.
    async fn attempt(&self, boundary: usize, initial: &State, expected: &State) -> Option<String> {
        let (location, _folder) = self.stores.create(&format!("boundary_{boundary}"));
        let db = testkit::open_location!(location.clone());
        self.prepare(&db).await;
        db.close().await;
        let task = format!("{:?} {:?} {boundary}", self.task, self.mode);
        let label = run_until_killed(&task, &location).await?;
        let db = testkit::open_location!(location);
        let migrator = migrator(&db, self.mode, None);
        execute(&migrator, self.task).await;
        let end = state(&db).await;
        assert!(end.ledger == expected.ledger, "{task}: {:?}", end.ledger);
        assert!(end.indexes == expected.indexes, "{task}: {:?}", end.indexes);
        assert!(end.content == expected.content, "{task}: the documents differ");
        if self.task == Task::Up {
            execute(&migrator, Task::Down).await;
            let restored = state(&db).await;
            assert!(restored.content == initial.content, "{task}: the rollback is not exact");
            assert!(restored.indexes == initial.indexes, "{task}: {:?}", restored.indexes);
        }
        db.close().await;
        Some(label)
    }
}

async fn kill_at_boundaries(stores: Stores, task: Task, mode: Mode, sample: usize) {
    let scenario = Scenario { stores: stores.clone(), task, mode };
    let (initial, expected) = scenario.run_undisturbed().await;
    let shared = Arc::new((scenario, initial, expected));
    let runs = stores.kill_at_boundaries(sample, |boundary| {
        let shared = Arc::clone(&shared);
        async move { shared.0.attempt(boundary, &shared.1, &shared.2).await }
    });
    let boundaries = runs.await.boundaries(|_| true);
    println!("{task:?} {mode:?}: about {boundaries} boundaries");
    assert!(boundaries >= 10, "too few boundaries: {boundaries}");
}

fn on_embedded(task: Task, mode: Mode, sample: usize) {
    child::on_embedded(move |stores| kill_at_boundaries(stores, task, mode, sample));
}

fn on_server(topology: Topology, task: Task, mode: Mode, sample: usize) {
    child::on_server(topology, move |stores| kill_at_boundaries(stores, task, mode, sample));
}

// The samples are coprime, so that the tests of one mode cover different boundaries.

#[test]
fn killed_batched_up_resumes_on_embedded() {
    on_embedded(Task::Up, Mode::Batched, 11);
}

#[test]
fn killed_batched_down_resumes_on_embedded() {
    on_embedded(Task::Down, Mode::Batched, 13);
}

#[test]
fn killed_idempotent_up_resumes_on_embedded() {
    on_embedded(Task::Up, Mode::Idempotent, 17);
}

#[test]
fn killed_transaction_up_restarts_on_embedded() {
    on_embedded(Task::Up, Mode::Transaction, 9);
}

#[test]
fn killed_batched_up_resumes_on_replica_set() {
    on_server(Topology::ReplicaSet, Task::Up, Mode::Batched, 17);
}

#[test]
fn killed_batched_down_resumes_on_replica_set() {
    on_server(Topology::ReplicaSet, Task::Down, Mode::Batched, 19);
}

#[test]
fn killed_transaction_up_restarts_on_replica_set() {
    on_server(Topology::ReplicaSet, Task::Up, Mode::Transaction, 16);
}

#[test]
fn killed_batched_up_resumes_on_standalone() {
    on_server(Topology::Standalone, Task::Up, Mode::Batched, 19);
}

#[test]
fn killed_idempotent_up_resumes_on_standalone() {
    on_server(Topology::Standalone, Task::Up, Mode::Idempotent, 23);
}

#[test]
fn killed_batched_down_resumes_on_standalone() {
    on_server(Topology::Standalone, Task::Down, Mode::Batched, 17);
}
