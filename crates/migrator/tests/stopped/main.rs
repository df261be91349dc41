//! A leader is stopped by SIGSTOP between two writes, another one takes its lease over and comes to the end, and the
//! first one goes on: it changes nothing more.
//!
//! The leader is this very program, run again with variables that say what to do: see [`child`].

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

/// The process that is stopped.
mod child;
/// Where the store is.
#[path = "../processes/place.rs"]
mod place;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use docstore::bson::{Document, doc};
use docstore::{Database, EngineKind};
use migrator::{Error, UpMode};
use testkit::{Engine, Mongod};

use crate::child::{END, GO, HERE, LOST};
use crate::place::Place;

/// How many of the places between two writes are tried.
const PLACES: usize = 8;

/// All but what tells runs and attempts apart, and the history, which does so on purpose.
async fn content(db: &Database) -> BTreeMap<String, Vec<Document>> {
    let mut all = testkit::dump!(db);
    all.retain(|name, documents| !name.starts_with("_migration") && !documents.is_empty());
    for documents in all.values_mut() {
        for document in documents.iter_mut() {
            if document.contains_key("name") {
                document.remove("_id");
            }
        }
        documents.sort_by_key(ToString::to_string);
    }
    all
}

async fn seed(place: &Place) {
    let db = place.open().await;
    db.collection("things").insert_many((0..1500).map(|i| doc! { "_id": i }).collect()).await.unwrap();
    db.close().await;
}

fn signal(name: &str, child: &Child) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Whether the kernel has stopped it.
fn is_stopped(child: &Child) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    stat.rsplit(')').next().unwrap().trim_start().starts_with('T')
}

/// What came of one try.
#[derive(PartialEq)]
enum Outcome {
    Stopped,
    /// There is no such place.
    Finished,
    /// The embedded store's file was being written to, by the heartbeat: nobody else can write then.
    Busy,
}

async fn attempt(place: Place, number: usize, expected: BTreeMap<String, Vec<Document>>) -> Outcome {
    seed(&place).await;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .envs([child::orders(&place, number)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let (mut child, mut said, text) = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        while !text.contains(HERE) && said.read_line(&mut text).unwrap() > 0 {}
        (child, said, text)
    })
    .await
    .unwrap();
    if !text.contains(HERE) {
        assert!(child.wait().unwrap().success(), "the leader failed by itself:\n{text}");
        return Outcome::Finished;
    }
    while !is_stopped(&child) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let db = place.open().await;
    let transactions = db.facts().await.unwrap().transactions;
    let next = child::migrator(&db, None).up(UpMode::Start).await;
    if db.kind() == EngineKind::Embedded && matches!(next, Err(Error::Store(docstore::Error::Unavailable(_))))
    {
        child.kill().unwrap();
        child.wait().unwrap();
        return Outcome::Busy;
    }
    assert!(next.is_ok(), "after place {number}: {next:?}");
    assert!(content(&db).await == expected, "another end after place {number}");
    let before = testkit::dump!(db);
    signal("CONT", &child);
    child.stdin.take().unwrap().write_all(GO.as_bytes()).unwrap();
    let (ended, rest) = tokio::task::spawn_blocking(move || {
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        (child.wait().unwrap(), rest)
    })
    .await
    .unwrap();
    // Before it had begun it may find out as well that there is nothing left to do.
    assert!(ended.success() && (rest.contains(LOST) || rest.contains(END)), "place {number}: {rest}");
    let after = testkit::dump!(db);
    // Without transactions what happened may be told after it did.
    let told_late = |name: &str| name == "_migration_log" && !transactions;
    let changed: Vec<_> =
        after.keys().filter(|name| after.get(*name) != before.get(*name) && !told_late(name)).collect();
    assert!(changed.is_empty(), "{changed:?} changed after place {number}");
    db.close().await;
    Outcome::Stopped
}

async fn undisturbed(place: &Place) -> BTreeMap<String, Vec<Document>> {
    seed(place).await;
    let db = place.open().await;
    child::migrator(&db, None).up(UpMode::Start).await.unwrap();
    let end = content(&db).await;
    db.close().await;
    end
}

/// Tries the first places, two at a time; one that met a busy file is tried again.
async fn stop_at_each(place: impl Fn(String) -> Place) {
    let expected = undisturbed(&place("undisturbed".into())).await;
    let mut numbers: Vec<usize> = (0..PLACES).rev().collect();
    let (mut stopped, mut tries) = (0, 0);
    while !numbers.is_empty() {
        let these = numbers.split_off(numbers.len().saturating_sub(2));
        let runs: Vec<_> = these
            .into_iter()
            .map(|number| {
                tries += 1;
                let place = place(format!("stopped_{number}_{tries}"));
                (number, tokio::spawn(attempt(place, number, expected.clone())))
            })
            .collect();
        for (number, run) in runs {
            match run.await.unwrap() {
                Outcome::Stopped => stopped += 1,
                Outcome::Finished => {}
                Outcome::Busy => numbers.push(number),
            }
        }
        assert!(tries < 3 * PLACES, "the file is always busy");
    }
    println!("stopped at {stopped} places, in {tries} tries");
    assert!(stopped >= 5, "hardly ever stopped: {stopped}");
}

fn on_mongo(transactions: bool) {
    testkit::with_server_binary(move |binary: PathBuf| async move {
        let server =
            if transactions { Mongod::replica_set(&binary).await } else { Mongod::standalone(&binary).await };
        let server = server.unwrap();
        if transactions {
            // A stopped client's transaction holds its documents until it ends by itself.
            let admin = server.direct().await.unwrap().database("admin");
            let quick = doc! { "setParameter": 1, "transactionLifetimeLimitSeconds": 1 };
            admin.run_command(quick).await.unwrap();
        }
        stop_at_each(|database| Place::Mongo { uri: server.uri(), database }).await;
    });
}

#[test]
fn a_stopped_leader_changes_nothing_more_embedded() {
    testkit::on(Engine::Embedded, |target| async move {
        let testkit::Target::Embedded { guard, .. } = &*target else { return };
        let folder = guard.path().to_owned();
        stop_at_each(|name| Place::Embedded(folder.join(name + ".db"))).await;
    });
}

#[test]
fn a_stopped_leader_changes_nothing_more_mongo() {
    on_mongo(true);
}

#[test]
fn a_stopped_leader_changes_nothing_more_mongo_standalone() {
    on_mongo(false);
}

/// Does what its variables say, and nothing without them.
#[test]
fn child() {
    child::run();
}
