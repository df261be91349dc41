//! A leader is stopped by SIGSTOP between two writes, a successor takes over its lease and completes the run, and the
//! resumed leader changes nothing more.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

/// Settings shared by all processes.
#[path = "../processes/settings.rs"]
mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use docstore::bson::{Document, doc};
use docstore::{Database, EngineKind, Filter};
use migrator::{
    Check, Error, Event, Finding, Graph, Meta, Migration, Migrator, Observer, Result, Undo, Up, UpMode,
};
use testkit::StoreLocation;
use testkit::child::{self, Countdown, StoppedChild, Stores, Topology, stop_self};

use crate::settings::settings;

/// Number of boundaries that are tested.
const BOUNDARIES: usize = 8;
/// Number of boundaries that are tested at a time. Each attempt mostly waits for the expiry of a lease.
const AT_ONCE: usize = 4;

/// Printed by a leader that noticed the loss of its lease.
const LEASE_LOST: &str = "the lease is lost";
/// Printed by a leader that found nothing left to do.
const NOTHING_LEFT: &str = "nothing is left to do";

struct InsertsAndFills;

#[async_trait]
impl Migration for InsertsAndFills {
    fn meta(&self) -> &'static Meta {
        const { &Meta::new("0001_fills", "fills") }
    }

    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        cx.insert_if_absent("a", "things", &Filter::eq("name", "a"), doc! { "name": "a" }).await?;
        cx.set_where_missing("x", "things", &Filter::All, "x", 1).await?;
        // Inserted with an x, because a resumed run repeats the earlier steps.
        cx.insert_if_absent("b", "things", &Filter::eq("name", "b"), doc! { "name": "b", "x": 2 }).await?;
        Ok(())
    }

    fn undo(&self) -> Undo {
        Undo::Journal
    }

    async fn check(&self, _: &Check<'_>) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}

fn migrator(db: &Database, observer: Option<Arc<dyn Observer>>) -> Migrator {
    Migrator::new(db.clone(), Graph::new(vec![Box::new(InsertsAndFills)]).unwrap(), settings(observer))
}

/// Stops its process at the chosen boundary.
struct Stopper {
    countdown: Countdown,
    /// Counts boundaries inside transactions too. On the embedded store a process that is stopped in a transaction
    /// blocks all other writers, so only boundaries between transactions count there.
    in_transactions: bool,
}

impl Observer for Stopper {
    fn event(&self, event: &Event<'_>) {
        let Event::Boundary { in_transaction, .. } = event else { return };
        if (self.in_transactions || !in_transaction) && self.countdown.is_reached() {
            stop_self();
        }
    }
}

/// The child of these tests.
#[test]
fn child() {
    child::run(|boundary, location| async move {
        let db = testkit::open_location!(location);
        let countdown = Countdown::new(boundary.parse().unwrap());
        let stopper = Stopper { countdown, in_transactions: db.kind() != EngineKind::Embedded };
        match migrator(&db, Some(Arc::new(stopper))).up(UpMode::Start).await {
            Ok(_) => println!("{NOTHING_LEFT}"),
            Err(Error::LeaseLost) => println!("{LEASE_LOST}"),
            Err(error) => println!("another error: {error}"),
        }
        db.close().await;
    });
}

type Content = BTreeMap<String, Vec<Document>>;

/// Returns the content without generated ids and without the engine's own collections.
async fn content(db: &Database) -> Content {
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

async fn seed(location: &StoreLocation) {
    let db = testkit::open_location!(location.clone());
    db.collection("things").insert_many((0..150).map(|i| doc! { "_id": i }).collect()).await.unwrap();
    db.close().await;
}

/// The result of one attempt.
#[derive(PartialEq)]
enum Outcome {
    Stopped,
    /// The leader completed its run before the boundary.
    Finished,
    /// The leader was stopped while its heartbeat was writing to the embedded file, which blocks all other writers.
    Busy,
}

async fn attempt(stores: &Stores, boundary: usize, attempt: usize, expected: Content) -> Outcome {
    let (location, _folder) = stores.create(&format!("stopped_{boundary}_{attempt}"));
    seed(&location).await;
    let Some(leader) = StoppedChild::start(&boundary.to_string(), &location).await else {
        return Outcome::Finished;
    };
    let db = testkit::open_location!(location);
    let transactions = db.facts().await.unwrap().transactions;
    let successor = migrator(&db, None).up(UpMode::Start).await;
    if db.kind() == EngineKind::Embedded
        && matches!(successor, Err(Error::Store(docstore::Error::Unavailable(_))))
    {
        leader.kill();
        return Outcome::Busy;
    }
    assert!(successor.is_ok(), "boundary {boundary}: {successor:?}");
    assert!(content(&db).await == expected, "boundary {boundary}: the documents differ");
    let before = testkit::dump!(db);
    let output = leader.resume().await;
    // A leader that was stopped before its first write finds that nothing is left to do.
    assert!(output.contains(LEASE_LOST) || output.contains(NOTHING_LEFT), "boundary {boundary}: {output}");
    let after = testkit::dump!(db);
    // Without transactions the leader may log an event after its lease expired.
    let may_change = |name: &str| name == "_migration_log" && !transactions;
    let changed: Vec<_> =
        after.keys().filter(|name| after.get(*name) != before.get(*name) && !may_change(name)).collect();
    assert!(changed.is_empty(), "boundary {boundary}: {changed:?} changed");
    db.close().await;
    Outcome::Stopped
}

async fn run_undisturbed(stores: &Stores) -> Content {
    let (location, _folder) = stores.create("undisturbed");
    seed(&location).await;
    let db = testkit::open_location!(location);
    migrator(&db, None).up(UpMode::Start).await.unwrap();
    let end = content(&db).await;
    db.close().await;
    end
}

/// Tests the first boundaries, several at a time, and repeats those that met a busy file.
async fn stop_at_boundaries(stores: Stores) {
    let expected = run_undisturbed(&stores).await;
    let mut boundaries: Vec<usize> = (0..BOUNDARIES).rev().collect();
    let (mut stopped, mut attempts) = (0, 0);
    while !boundaries.is_empty() {
        let next = boundaries.split_off(boundaries.len().saturating_sub(AT_ONCE));
        let runs: Vec<_> = next
            .into_iter()
            .map(|boundary| {
                attempts += 1;
                let (stores, expected, number) = (stores.clone(), expected.clone(), attempts);
                let run = async move { attempt(&stores, boundary, number, expected).await };
                (boundary, tokio::spawn(run))
            })
            .collect();
        for (boundary, run) in runs {
            match run.await.unwrap() {
                Outcome::Stopped => stopped += 1,
                Outcome::Finished => {}
                Outcome::Busy => boundaries.push(boundary),
            }
        }
        assert!(attempts < 3 * BOUNDARIES, "the file is always busy");
    }
    println!("stopped at {stopped} boundaries in {attempts} attempts");
    assert!(stopped >= 5, "too few boundaries: {stopped}");
}

#[test]
fn resumed_leader_changes_nothing_on_embedded() {
    child::on_embedded(stop_at_boundaries);
}

#[test]
fn resumed_leader_changes_nothing_on_replica_set() {
    child::on_server(Topology::ReplicaSet, stop_at_boundaries);
}

#[test]
fn resumed_leader_changes_nothing_on_standalone() {
    child::on_server(Topology::Standalone, stop_at_boundaries);
}
