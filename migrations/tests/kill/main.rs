//! A runner is killed at every place between two writes, on the way up and on the way down, and the next one comes to
//! the same end as if nothing had happened.
//!
//! The runner that is killed is this very program, run again with variables that say what to do: see [`child`].

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

/// The process that is killed.
mod child;
/// A store's content, comparable between runs.
mod fingerprint;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use docstore::bson::oid::ObjectId;
use docstore::bson::{DateTime, Document, doc};
use docstore::{Database, Filter};
use migrator::UpMode;
use testkit::{Engine, Mongod};

use crate::child::{Place, Task};
use crate::fingerprint::fingerprint;

/// More places than there can be; a loop that does not end is a failure.
const PLACES: usize = 400;

const IDS: [&str; 4] = [
    "0001_create_admin_user",
    "0002_add_user_id_to_content",
    "0003_seed_initial_sections",
    "0004_backfill_section_id",
];

#[derive(Clone)]
enum Server {
    Embedded,
    Mongo(String),
}

impl Server {
    /// How many runners are tried at once. On a server most of the time is spent waiting for leases to run out; the
    /// embedded store sees at once that their holder is gone.
    fn at_once(&self) -> usize {
        match self {
            Self::Embedded => 4,
            Self::Mongo(_) => 16,
        }
    }
}

/// A database of its own for one try.
struct Try {
    place: Place,
    /// Keeps an embedded file's folder.
    _folder: Option<tempfile::TempDir>,
}

impl Try {
    fn new(server: &Server, name: &str) -> Self {
        match server {
            Server::Embedded => {
                let folder = tempfile::tempdir().unwrap();
                Self { place: Place::Embedded(folder.path().join("store.db")), _folder: Some(folder) }
            }
            Server::Mongo(uri) => Self { place: Place::Mongo(uri.clone(), name.into()), _folder: None },
        }
    }
}

/// A site with something to do for each migration.
async fn seed(db: &Database) {
    let put = async |name: &str, documents: Vec<Document>| {
        db.collection(name).insert_many(documents).await.unwrap();
    };
    put(
        "users",
        vec![doc! { "_id": ObjectId::from_bytes([1; 12]), "email": child::EMAIL, "role": "commenter" }],
    )
    .await;
    put("stories", (0..3).map(|i| doc! { "_id": i, "title": "s" }).collect()).await;
    put(
        "projects",
        vec![doc! { "_id": 1, "user_id": "someone" }, doc! { "_id": 2, "section_id": "by hand" }],
    )
    .await;
    put("pages", vec![doc! { "_id": 1, "page_type": "about" }, doc! { "_id": 2, "page_type": "contact" }])
        .await;
    put("sections", vec![doc! { "_id": 1, "slug": "notes" }]).await;
    // Its collection is there, and empty: nothing is to be told of the earlier tool.
    db.collection("pymongo_migrate").delete_many(&Filter::All).await.unwrap();
}

type Content = BTreeMap<String, Vec<Document>>;

/// All that is not the engine's own.
async fn content(db: &Database) -> Content {
    let mut content = fingerprint(db).await;
    content.retain(|name, _| !name.starts_with("_migration"));
    content
}

/// What one try came to.
enum Outcome {
    /// The child was killed at this migration's place, and its successor ended with this content, and after a `down`
    /// of all with that.
    Killed { migration: String, end: Content, back: Option<Content> },
    /// There is no such place: the child came to its end.
    Finished,
}

async fn attempt(server: &Server, task: Task, number: usize) -> Outcome {
    let this = Try::new(server, &format!("kill_{}_{number}", task.name()));
    let db = this.place.open().await;
    seed(&db).await;
    prepare(&db, task).await;
    db.close().await;

    let output = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .envs(child::orders(&this.place, task, number))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = tokio::task::spawn_blocking(move || output.wait_with_output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let db = this.place.open().await;
    let end = if output.status.success() {
        assert!(said.contains(child::DONE), "the child did nothing:\n{said}");
        Outcome::Finished
    } else {
        use std::os::unix::process::ExitStatusExt;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(9), "the child failed by itself:\n{said}\n{errors}");
        let migration =
            said.lines().find_map(|line| line.split(child::KILLED).nth(1)).unwrap().trim().to_owned();
        let migrator = child::migrator(&db, None);
        match task {
            Task::Up | Task::DownThenUp => {
                assert_eq!(migrator.up(UpMode::Start).await.unwrap().unknown.len(), 0);
            }
            Task::Down | Task::DownImported => child::down(&migrator, task == Task::DownImported).await,
        }
        let end = fingerprint(&db).await;
        let back = if task == Task::Up {
            child::down(&migrator, false).await;
            Some(content(&db).await)
        } else {
            None
        };
        Outcome::Killed { migration, end, back }
    };
    db.close().await;
    end
}

/// Brings a database to where a task begins.
async fn prepare(db: &Database, task: Task) {
    if task == Task::DownImported {
        let applied = |id: &str| doc! { "_id": id, "name": id, "applied": DateTime::from_millis(1) };
        db.collection("pymongo_migrate").insert_many(IDS.map(applied).to_vec()).await.unwrap();
        let seeded = ["blog", "about"].map(|slug| doc! { "_id": slug, "slug": slug });
        db.collection("sections").insert_many(seeded.to_vec()).await.unwrap();
    }
    if task != Task::Up {
        child::migrator(db, None).up(UpMode::Start).await.unwrap();
    }
}

/// What there is at first, and at the end of a run that nobody kills.
async fn undisturbed(server: &Server, task: Task) -> (Content, Content) {
    let this = Try::new(server, &format!("kill_{}_undisturbed", task.name()));
    let db = this.place.open().await;
    seed(&db).await;
    let before = content(&db).await;
    prepare(&db, task).await;
    let migrator = child::migrator(&db, None);
    match task {
        Task::Up | Task::DownThenUp => {
            migrator.up(UpMode::Start).await.unwrap();
        }
        Task::Down | Task::DownImported => child::down(&migrator, task == Task::DownImported).await,
    }
    let end = fingerprint(&db).await;
    if task == Task::Down {
        assert_eq!(content(&db).await, before);
    }
    db.close().await;
    (before, end)
}

/// Tries every place, or every other one, until a runner comes to its end.
async fn kill_everywhere(server: Server, task: Task, every: usize) {
    let (seeded, expected) = undisturbed(&server, task).await;
    let mut kills: BTreeMap<String, usize> = BTreeMap::new();
    let mut first = 0;
    'places: loop {
        assert!(first < PLACES, "the child never comes to its end");
        let numbers: Vec<_> = (first..PLACES).step_by(every).take(server.at_once()).collect();
        let tries: Vec<_> = numbers
            .iter()
            .map(|&number| {
                let server = server.clone();
                tokio::spawn(async move { attempt(&server, task, number).await })
            })
            .collect();
        first += every * server.at_once();
        let mut finished = false;
        for (number, this) in numbers.into_iter().zip(tries) {
            match this.await.unwrap() {
                Outcome::Finished => finished = true,
                Outcome::Killed { migration, end, back } => {
                    assert!(!finished, "a run came to its end before place {number}");
                    assert_eq!(end, expected, "killed at place {number}, in {migration}");
                    assert!(
                        back.is_none_or(|back| back == seeded),
                        "the undo after place {number}, in {migration}"
                    );
                    *kills.entry(migration).or_default() += 1;
                }
            }
        }
        if finished {
            break 'places;
        }
    }
    println!("{}: killed at {kills:?}", task.name());
    for id in IDS {
        assert!(kills.get(id).is_some_and(|n| *n >= 3), "{id} was hardly ever killed: {kills:?}");
    }
}

fn on_embedded(task: Task) {
    testkit::on(Engine::Embedded, move |_| kill_everywhere(Server::Embedded, task, 1));
}

fn on_mongo(task: Task, transactions: bool, every: usize) {
    testkit::with_server_binary(move |binary: PathBuf| async move {
        let server =
            if transactions { Mongod::replica_set(&binary).await } else { Mongod::standalone(&binary).await };
        let server = server.unwrap();
        if transactions {
            // A dead client's transaction holds its documents until it ends by itself; a minute is long for a test.
            let admin = server.direct().await.unwrap().database("admin");
            let quick = doc! { "setParameter": 1, "transactionLifetimeLimitSeconds": 1 };
            admin.run_command(quick).await.unwrap();
        }
        kill_everywhere(Server::Mongo(server.uri()), task, every).await;
    });
}

#[test]
fn up_survives_kills_embedded() {
    on_embedded(Task::Up);
}

#[test]
fn down_survives_kills_embedded() {
    on_embedded(Task::Down);
}

#[test]
fn up_survives_kills_mongo() {
    on_mongo(Task::Up, true, 1);
}

#[test]
fn down_survives_kills_mongo() {
    on_mongo(Task::Down, true, 1);
}

#[test]
fn up_after_a_killed_down_embedded() {
    on_embedded(Task::DownThenUp);
}

#[test]
fn up_after_a_killed_down_mongo() {
    on_mongo(Task::DownThenUp, true, 2);
}

#[test]
fn down_of_an_import_survives_kills_embedded() {
    on_embedded(Task::DownImported);
}

#[test]
fn down_of_an_import_survives_kills_mongo() {
    on_mongo(Task::DownImported, true, 2);
}

#[test]
fn up_survives_kills_mongo_standalone() {
    on_mongo(Task::Up, false, 2);
}

#[test]
fn down_survives_kills_mongo_standalone() {
    on_mongo(Task::Down, false, 2);
}

/// Does what its variables say, and nothing without them.
#[test]
fn child() {
    child::run();
}
