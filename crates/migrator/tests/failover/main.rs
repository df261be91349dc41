//! The primary steps down in the midst of a run, in each mode: the run ends well, or the next one does, and the content
//! is what it would be if nothing had happened.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use async_trait::async_trait;
use docstore::bson::{Document, doc};
use docstore::{Database, Filter, mongo};
use migrator::{
    Check, DownTarget, Event, Finding, Graph, Meta, Migration, Migrator, Mode, Observer, Result, Settings,
    Undo, Up, UpMode,
};
use testkit::Mongod;

/// Number of times that a run is retried.
const TRIES: usize = 4;

struct Fills {
    meta: &'static Meta,
}

impl Fills {
    fn new(mode: Mode) -> Self {
        Self { meta: Box::leak(Box::new(Meta::new("0001_fills", "fills").mode(mode))) }
    }
}

#[async_trait]
impl Migration for Fills {
    fn meta(&self) -> &'static Meta {
        self.meta
    }

    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        let a = doc! { "_id": "a", "x": 0 };
        cx.insert_if_absent("a", "things", &Filter::id("a"), a).await?;
        cx.set_where_missing("x", "things", &Filter::All, "x", 1).await?;
        cx.set("y", "others", &Filter::All, "y", "new").await?;
        Ok(())
    }

    fn undo(&self) -> Undo {
        Undo::Journal
    }

    async fn check(&self, _: &Check<'_>) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}

/// Holds the run at one place between two writes until the primary has stepped down.
struct StepDownAt {
    left: AtomicUsize,
    reached: Sender<()>,
    done: Mutex<Receiver<()>>,
}

impl Observer for StepDownAt {
    fn event(&self, event: &Event<'_>) {
        if matches!(event, Event::Boundary { .. }) && self.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.reached.send(()).unwrap();
            self.done.lock().unwrap().recv().unwrap();
        }
    }
}

async fn content(db: &Database) -> BTreeMap<String, Vec<Document>> {
    let mut all = testkit::dump!(db);
    all.retain(|name, documents| !name.starts_with("_migration") && !documents.is_empty());
    all
}

fn migrator(db: &Database, mode: Mode, observer: Arc<dyn Observer>) -> Migrator {
    let settings = Settings { observer, ..Settings::default() };
    Migrator::new(db.clone(), Graph::new(vec![Box::new(Fills::new(mode))]).unwrap(), settings)
}

async fn seeded(server: &Mongod, name: &str) -> Database {
    let options = mongo::Options { uri: server.uri(), database: Some(name.into()), app_name: "tests".into() };
    let db = mongo::connect(options).await.unwrap();
    db.collection("things").insert_many((0..700).map(|i| doc! { "_id": i }).collect()).await.unwrap();
    db.collection("others")
        .insert_many((0..100).map(|i| doc! { "_id": i, "y": "old" }).collect())
        .await
        .unwrap();
    db
}

/// The set has one node, so that it elects itself again.
async fn step_down(server: &Mongod) {
    let admin = server.direct().await.unwrap().database("admin");
    let order = doc! { "replSetStepDown": 1, "secondaryCatchUpPeriodSecs": 0, "force": true };
    admin.run_command(order).await.unwrap();
    let hello = admin.run_command(doc! { "hello": 1 }).await.unwrap();
    assert!(!hello.get_bool("isWritablePrimary").unwrap());
}

/// Returns whether there was such a boundary.
async fn disturbed(
    server: Arc<Mongod>,
    mode: Mode,
    at: usize,
    expected: &BTreeMap<String, Vec<Document>>,
) -> bool {
    let db = seeded(&server, &format!("failover_{mode:?}_{at}").to_lowercase()).await;
    let before = content(&db).await;
    let (reached, is_reached) = channel();
    let (go_on, done) = channel();
    let observer = StepDownAt { left: AtomicUsize::new(at), reached, done: Mutex::new(done) };
    let disturber = tokio::task::spawn_blocking({
        let (server, runtime) = (Arc::clone(&server), tokio::runtime::Handle::current());
        move || {
            let found = is_reached.recv().is_ok();
            if found {
                runtime.block_on(step_down(&server));
                go_on.send(()).unwrap();
            }
            found
        }
    });
    let run = migrator(&db, mode, Arc::new(observer));
    let mut outcome = run.up(UpMode::Start).await;
    drop(run);
    let found = disturber.await.unwrap();
    let mut tries = 1;
    while let Err(error) = outcome {
        println!("{mode:?}, place {at}, try {tries}: {error}");
        assert!(tries < TRIES, "{mode:?}, place {at}: {error}");
        tries += 1;
        outcome = migrator(&db, mode, Arc::new(())).up(UpMode::Operator).await;
    }
    assert!(content(&db).await == *expected, "{mode:?}, place {at}");
    migrator(&db, mode, Arc::new(())).down(DownTarget::Last).await.unwrap();
    assert!(content(&db).await == before, "{mode:?}, place {at}, rolled back");
    db.close().await;
    found
}

async fn in_mode(server: Arc<Mongod>, mode: Mode) {
    let calm = seeded(&server, &format!("failover_{mode:?}").to_lowercase()).await;
    migrator(&calm, mode, Arc::new(())).up(UpMode::Start).await.unwrap();
    let expected = content(&calm).await;
    calm.close().await;
    let mut found = 0;
    for at in [1, 4, 6] {
        found += usize::from(disturbed(Arc::clone(&server), mode, at, &expected).await);
    }
    assert!(found >= 2, "{mode:?}: hardly ever disturbed");
}

fn step_down_in(mode: Mode) {
    testkit::with_server_binary(move |binary: PathBuf| async move {
        let server = Arc::new(Mongod::replica_set(&binary).await.unwrap());
        in_mode(server, mode).await;
    });
}

#[test]
fn in_one_transaction() {
    step_down_in(Mode::Transaction);
}

#[test]
fn step_by_step() {
    step_down_in(Mode::Idempotent);
}

#[test]
fn with_a_cursor() {
    step_down_in(Mode::Batched);
}
