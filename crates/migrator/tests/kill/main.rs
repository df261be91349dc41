//! A runner is killed between two writes, with every kind of step and in every mode, on the way up and on the way
//! down, and the next one comes to the same end as if nothing had happened; then all is taken back exactly.
//!
//! The runner that is killed is this very program, run again with variables that say what to do: see [`child`].

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

/// The process that is killed.
mod child;
/// Where the store is.
#[path = "../processes/place.rs"]
mod place;
/// Migrations of every kind of step.
#[path = "../engine/workers.rs"]
#[expect(dead_code, reason = "the tests of the engine need more of it")]
mod workers;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use docstore::Database;
use docstore::bson::{Document, doc};
use migrator::Mode;
use testkit::{Engine, Mongod};

use crate::child::Task;
use crate::place::Place;

/// More places than there can be; a loop that does not end is a failure.
const PLACES: usize = 600;
/// Documents: more than fit a first batch.
const THINGS: i32 = 1100;

#[derive(Clone)]
enum Server {
    Embedded,
    Mongo(String),
}

/// All that is to be the same at the end: documents, indexes, and the state in the ledger.
#[derive(PartialEq)]
struct Print {
    content: BTreeMap<String, Vec<Document>>,
    indexes: Vec<String>,
    status: Vec<Document>,
}

async fn print(db: &Database) -> Print {
    let mut content = testkit::dump!(db);
    let mut status = content.remove("_migrations").unwrap_or_default();
    for entry in &mut status {
        let kept = ["_id", "status", "warnings", "cursor"];
        *entry = kept.iter().filter_map(|key| Some(((*key).to_owned(), entry.get(*key)?.clone()))).collect();
    }
    content.retain(|name, documents| !name.starts_with("_migration") && !documents.is_empty());
    let indexes = db.list_indexes("things").await.unwrap();
    let mut indexes: Vec<String> = indexes.iter().map(ToString::to_string).collect();
    indexes.sort();
    Print { content, indexes, status }
}

struct Matter {
    server: Server,
    task: Task,
    mode: Mode,
}

/// A database of its own for one try.
struct Try {
    place: Place,
    /// Keeps an embedded file's folder.
    _folder: Option<tempfile::TempDir>,
}

impl Matter {
    fn place(&self, number: usize) -> Try {
        match &self.server {
            Server::Embedded => {
                let folder = tempfile::tempdir().unwrap();
                Try { place: Place::Embedded(folder.path().join("store.db")), _folder: Some(folder) }
            }
            Server::Mongo(uri) => {
                let database = format!("kill_{:?}_{:?}_{number}", self.task, self.mode);
                Try { place: Place::Mongo { uri: uri.clone(), database }, _folder: None }
            }
        }
    }

    /// What there is at first.
    async fn begin(&self, db: &Database) -> Print {
        workers::seed(db, THINGS).await;
        let seeded = print(db).await;
        if self.task == Task::Down {
            child::carry_out(&child::migrator(db, self.mode, None), Task::Up).await;
        }
        seeded
    }

    /// The state at the end of a run that nobody kills, and that before it.
    async fn undisturbed(&self) -> (Print, Print) {
        let this = self.place(PLACES);
        let db = this.place.open().await;
        let seeded = self.begin(&db).await;
        child::carry_out(&child::migrator(&db, self.mode, None), self.task).await;
        let end = print(&db).await;
        db.close().await;
        (seeded, end)
    }

    /// Kills a runner at a place; `false` if it came to its end before.
    async fn attempt(&self, number: usize, seeded: &Print, expected: &Print) -> bool {
        let this = self.place(number);
        let db = this.place.open().await;
        self.begin(&db).await;
        db.close().await;
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .envs([child::orders(&this.place, self.task, self.mode, number)])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = tokio::task::spawn_blocking(move || output.wait_with_output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            assert!(said.contains(child::DONE), "the child did nothing:\n{said}");
            return false;
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(9), "the child failed by itself:\n{said}\n{errors}");
        let db = this.place.open().await;
        let migrator = child::migrator(&db, self.mode, None);
        child::carry_out(&migrator, self.task).await;
        let matter = format!("{:?} {:?}, killed at place {number}", self.task, self.mode);
        let end = print(&db).await;
        assert!(end.status == expected.status, "{matter}: {:?}", end.status);
        assert!(end.indexes == expected.indexes, "{matter}: {:?}", end.indexes);
        assert!(end.content == expected.content, "{matter}: other documents");
        if self.task == Task::Up {
            child::carry_out(&migrator, Task::Down).await;
            let back = print(&db).await;
            assert!(back.content == seeded.content, "{matter}: not taken back exactly");
            assert!(back.indexes == seeded.indexes, "{matter}: {:?}", back.indexes);
        }
        db.close().await;
        true
    }

    /// Tries every so many places, some at once, until a runner comes to its end.
    async fn kill_everywhere(self, every: usize) {
        // On a server most of the time is spent waiting for leases to run out; the embedded store sees at once that
        // their holder is gone.
        let at_once = if matches!(self.server, Server::Embedded) { 2 } else { 8 };
        let (seeded, expected) = self.undisturbed().await;
        let this = std::sync::Arc::new((self, seeded, expected));
        let mut kills = 0;
        let mut first = 0;
        loop {
            assert!(first < PLACES, "the child never comes to its end");
            let tries: Vec<_> = (0..at_once)
                .map(|i| {
                    let (this, number) = (std::sync::Arc::clone(&this), first + i * every);
                    tokio::spawn(async move { this.0.attempt(number, &this.1, &this.2).await })
                })
                .collect();
            first += every * at_once;
            let mut finished = false;
            for one in tries {
                let killed = one.await.unwrap();
                assert!(!(finished && killed), "a run came to its end before an earlier place");
                finished |= !killed;
                kills += usize::from(killed);
            }
            if finished {
                break;
            }
        }
        println!("{:?} {:?}: killed at {kills} places", this.0.task, this.0.mode);
        assert!(kills * every >= 10, "it was hardly ever killed: {kills}");
    }
}

fn on_embedded(task: Task, mode: Mode, every: usize) {
    let matter = Matter { server: Server::Embedded, task, mode };
    testkit::on(Engine::Embedded, move |_| matter.kill_everywhere(every));
}

fn on_mongo(task: Task, mode: Mode, transactions: bool, every: usize) {
    testkit::with_server_binary(move |binary: PathBuf| async move {
        let server =
            if transactions { Mongod::replica_set(&binary).await } else { Mongod::standalone(&binary).await };
        let server = server.unwrap();
        if transactions {
            // A dead client's transaction holds its documents until it ends by itself; a minute is long for a test.
            let admin = server.direct().await.unwrap().database("admin");
            let quick = doc! { "setParameter": 1, "transactionLifetimeLimitSeconds": 2 };
            admin.run_command(quick).await.unwrap();
        }
        Matter { server: Server::Mongo(server.uri()), task, mode }.kill_everywhere(every).await;
    });
}

#[test]
fn batched_up_embedded() {
    on_embedded(Task::Up, Mode::Batched, 3);
}

#[test]
fn batched_down_embedded() {
    on_embedded(Task::Down, Mode::Batched, 3);
}

#[test]
fn idempotent_up_embedded() {
    on_embedded(Task::Up, Mode::Idempotent, 7);
}

#[test]
fn transaction_up_embedded() {
    on_embedded(Task::Up, Mode::Transaction, 2);
}

#[test]
fn batched_up_mongo() {
    on_mongo(Task::Up, Mode::Batched, true, 7);
}

#[test]
fn batched_down_mongo() {
    on_mongo(Task::Down, Mode::Batched, true, 7);
}

#[test]
fn transaction_up_mongo() {
    on_mongo(Task::Up, Mode::Transaction, true, 5);
}

#[test]
fn batched_up_mongo_standalone() {
    on_mongo(Task::Up, Mode::Batched, false, 7);
}

#[test]
fn idempotent_up_mongo_standalone() {
    on_mongo(Task::Up, Mode::Idempotent, false, 11);
}

#[test]
fn batched_down_mongo_standalone() {
    on_mongo(Task::Down, Mode::Batched, false, 7);
}

/// Does what its variables say, and nothing without them.
#[test]
fn child() {
    child::run();
}
