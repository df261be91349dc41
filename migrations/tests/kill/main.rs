//! A runner of the four migrations is killed between two writes, in both directions. Its successor reaches the same state
//! as an undisturbed run.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

/// The comparable state of a store.
mod fingerprint;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use docstore::bson::oid::ObjectId;
use docstore::bson::{DateTime, Document, doc};
use docstore::{Database, Filter};
use migrator::{DownRequest, DownTarget, Event, Graph, Migrator, Observer, Settings, UpMode};
use testkit::child::{self, Countdown, Stores, Topology, kill_self, run_until_killed};

use crate::fingerprint::fingerprint;

const EMAIL: &str = "ada@example.com";
const IDS: [&str; 4] = [
    "0001_create_admin_user",
    "0002_add_user_id_to_content",
    "0003_seed_initial_sections",
    "0004_backfill_section_id",
];

/// The task of the killed process and of its successor.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Task {
    /// Both apply all migrations.
    Up,
    /// Both roll all migrations back.
    Down,
    /// The killed process rolls all migrations back, its successor applies them.
    DownThenUp,
    /// Both roll back migrations that were imported from the earlier tool.
    DownImported,
}

impl Task {
    const ALL: [Self; 4] = [Self::Up, Self::Down, Self::DownThenUp, Self::DownImported];
}

fn migrator(db: &Database, observer: Option<Arc<dyn Observer>>) -> Migrator {
    let settings = Settings {
        // Short, so that a successor takes over soon; long enough for a busy machine to renew it.
        lease_ttl: Duration::from_secs(3),
        env: Arc::new(|name| (name == "ADMIN_EMAIL").then(|| EMAIL.into())),
        clock: Arc::new(|| DateTime::from_millis(1_700_000_000_000)),
        import_from: Some("pymongo_migrate".into()),
        observer: observer.unwrap_or_else(|| Arc::new(())),
        ..Settings::default()
    };
    Migrator::new(db.clone(), Graph::new(migrations::all()).unwrap(), settings)
}

/// Rolls all migrations back; `confirmed` where losses are expected.
async fn down(migrator: &Migrator, confirmed: bool) {
    let last = DownRequest { target: DownTarget::Last, confirmed };
    while !migrator.down(last.clone()).await.unwrap().is_empty() {}
}

/// Executes the successor's part of a task.
async fn complete(migrator: &Migrator, task: Task) {
    match task {
        Task::Up | Task::DownThenUp => drop(migrator.up(UpMode::Start).await.unwrap()),
        Task::Down | Task::DownImported => down(migrator, task == Task::DownImported).await,
    }
}

/// Kills its process at the chosen boundary.
struct Killer(Countdown);

impl Observer for Killer {
    fn event(&self, event: &Event<'_>) {
        if let Event::Boundary { migration, .. } = event
            && self.0.is_reached()
        {
            kill_self(migration);
        }
    }
}

/// The child of these tests.
#[test]
fn child() {
    child::run(|text, location| async move {
        let (name, boundary) = text.split_once(' ').unwrap();
        let task = *Task::ALL.iter().find(|task| format!("{task:?}") == name).unwrap();
        let db = testkit::open_location!(location);
        let killer = Killer(Countdown::new(boundary.parse().unwrap()));
        let migrator = migrator(&db, Some(Arc::new(killer)));
        if task == Task::Up {
            migrator.up(UpMode::Start).await.unwrap();
        } else {
            down(&migrator, task == Task::DownImported).await;
        }
        db.close().await;
    });
}

/// Creates a site with work for each migration.
async fn seed(db: &Database) {
    let insert = async |name: &str, documents: Vec<Document>| {
        db.collection(name).insert_many(documents).await.unwrap();
    };
    let user = doc! { "_id": ObjectId::from_bytes([1; 12]), "email": EMAIL, "role": "commenter" };
    insert("users", vec![user]).await;
    insert("stories", (0..3).map(|i| doc! { "_id": i, "title": "s" }).collect()).await;
    let projects = [doc! { "_id": 1, "user_id": "someone" }, doc! { "_id": 2, "section_id": "by hand" }];
    insert("projects", projects.to_vec()).await;
    let pages = [doc! { "_id": 1, "page_type": "about" }, doc! { "_id": 2, "page_type": "contact" }];
    insert("pages", pages.to_vec()).await;
    insert("sections", vec![doc! { "_id": 1, "slug": "notes" }]).await;
    // The ledger of the earlier tool exists and is empty.
    db.collection("pymongo_migrate").delete_many(&Filter::All).await.unwrap();
}

/// Brings a database to where a task starts.
async fn prepare(db: &Database, task: Task) {
    if task == Task::DownImported {
        let applied = |id: &str| doc! { "_id": id, "name": id, "applied": DateTime::from_millis(1) };
        db.collection("pymongo_migrate").insert_many(IDS.map(applied).to_vec()).await.unwrap();
        let seeded = ["blog", "about"].map(|slug| doc! { "_id": slug, "slug": slug });
        db.collection("sections").insert_many(seeded.to_vec()).await.unwrap();
    }
    if task != Task::Up {
        migrator(db, None).up(UpMode::Start).await.unwrap();
    }
}

type Content = BTreeMap<String, Vec<Document>>;

/// Returns the state without the engine's own collections.
async fn content(db: &Database) -> Content {
    let mut content = fingerprint(db).await;
    content.retain(|name, _| !name.starts_with("_migration"));
    content
}

/// Returns the initial content and the state after an undisturbed run.
async fn run_undisturbed(stores: &Stores, task: Task) -> (Content, Content) {
    let (location, _folder) = stores.create("undisturbed");
    let db = testkit::open_location!(location);
    seed(&db).await;
    let initial = content(&db).await;
    prepare(&db, task).await;
    complete(&migrator(&db, None), task).await;
    let end = fingerprint(&db).await;
    if task == Task::Down {
        assert_eq!(content(&db).await, initial);
    }
    db.close().await;
    (initial, end)
}

/// Kills a run at a boundary and compares the state after its successor with the expected one.
async fn attempt(
    stores: &Stores,
    task: Task,
    boundary: usize,
    initial: &Content,
    expected: &Content,
) -> Option<String> {
    let (location, _folder) = stores.create(&format!("boundary_{boundary}"));
    let db = testkit::open_location!(location.clone());
    seed(&db).await;
    prepare(&db, task).await;
    db.close().await;
    let migration = run_until_killed(&format!("{task:?} {boundary}"), &location).await?;
    let db = testkit::open_location!(location);
    let migrator = migrator(&db, None);
    complete(&migrator, task).await;
    assert_eq!(fingerprint(&db).await, *expected, "{task:?} killed at boundary {boundary}, in {migration}");
    if task == Task::Up {
        down(&migrator, false).await;
        assert_eq!(content(&db).await, *initial, "rollback after boundary {boundary}, in {migration}");
    }
    db.close().await;
    Some(migration)
}

async fn kill_at_boundaries(stores: Stores, task: Task, sample: usize) {
    let (initial, expected) = run_undisturbed(&stores, task).await;
    let shared = Arc::new((stores.clone(), initial, expected));
    let runs = stores.kill_at_boundaries(sample, |boundary| {
        let shared = Arc::clone(&shared);
        async move { attempt(&shared.0, task, boundary, &shared.1, &shared.2).await }
    });
    let runs = runs.await;
    println!("{task:?}: killed in {:?}", runs.labels);
    for id in IDS {
        let boundaries = runs.boundaries(|label| label == id);
        assert!(boundaries >= 3, "{id} has about {boundaries} boundaries: {:?}", runs.labels);
    }
}

fn on_embedded(task: Task, sample: usize) {
    child::on_embedded(move |stores| kill_at_boundaries(stores, task, sample));
}

fn on_server(topology: Topology, task: Task, sample: usize) {
    child::on_server(topology, move |stores| kill_at_boundaries(stores, task, sample));
}

#[test]
fn killed_up_resumes_on_embedded() {
    on_embedded(Task::Up, 2);
}

#[test]
fn killed_down_resumes_on_embedded() {
    on_embedded(Task::Down, 2);
}

#[test]
fn up_succeeds_after_killed_down_on_embedded() {
    on_embedded(Task::DownThenUp, 3);
}

#[test]
fn killed_down_of_import_resumes_on_embedded() {
    on_embedded(Task::DownImported, 2);
}

#[test]
fn killed_up_resumes_on_replica_set() {
    on_server(Topology::ReplicaSet, Task::Up, 3);
}

#[test]
fn killed_down_resumes_on_replica_set() {
    on_server(Topology::ReplicaSet, Task::Down, 3);
}

#[test]
fn up_succeeds_after_killed_down_on_replica_set() {
    on_server(Topology::ReplicaSet, Task::DownThenUp, 5);
}

#[test]
fn killed_down_of_import_resumes_on_replica_set() {
    on_server(Topology::ReplicaSet, Task::DownImported, 3);
}

#[test]
fn killed_up_resumes_on_standalone() {
    on_server(Topology::Standalone, Task::Up, 4);
}

#[test]
fn killed_down_resumes_on_standalone() {
    on_server(Topology::Standalone, Task::Down, 4);
}
