//! Measures the time and memory of a backfill, compared with one bare `update_many` of the same change on the same
//! server, and the duration of a start without pending migrations.
//!
//! Run by `make bench-migrations`, never by the test suite. `BENCH_DOCUMENTS` (1,000,000) and `BENCH_ROUNDS` (3) set the
//! size, `BENCH_STORES` (`embedded,replica-set,standalone`) the stores. After `BENCH_MINUTES` (15) no further round
//! starts.
//!
//! Each run sets another field on all documents. Backfills run in separate processes, whose peak resident memory is read
//! from `VmHWM`; Linux only.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use docstore::bson::{Document, doc};
use docstore::{Database, Filter, Update};
use migrator::{Check, Finding, Graph, Meta, Migration, Migrator, Mode, Result, Settings, Undo, Up, UpMode};
use testkit::{Mongod, StoreLocation};

const COLLECTION: &str = "stories";
const CHILD: &str = "BENCH_CHILD";
const STARTS: usize = 200;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    if let Ok(task) = std::env::var(CHILD) {
        return runtime.block_on(child(&task));
    }
    let began = Instant::now();
    let minutes = number("BENCH_MINUTES", 15);
    let limit = Duration::from_secs(minutes * 60);
    let stores = std::env::var("BENCH_STORES").unwrap_or_else(|_| "embedded,replica-set,standalone".into());
    println!("{} documents, medians of up to {} rounds", number("BENCH_DOCUMENTS", 1_000_000), rounds());
    for store in stores.split(',').map(str::to_owned) {
        if store == "embedded" {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let location = StoreLocation::Embedded(folder.path().join("store.db"));
            runtime.block_on(measure(&store, &location, began, limit));
            continue;
        }
        testkit::with_server_binary(move |binary: PathBuf| async move {
            let server = start(&store, &binary).await;
            let location = StoreLocation::Mongo { uri: server.uri(), database: "bench".into() };
            measure(&store, &location, began, limit).await;
        });
    }
}

async fn start(store: &str, binary: &Path) -> Mongod {
    match store {
        "replica-set" => Mongod::replica_set(binary).await,
        "standalone" => Mongod::standalone(binary).await,
        other => panic!("unknown store {other}"),
    }
    .expect("failed to start a server")
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().expect("a number"))
}

fn rounds() -> u64 {
    number("BENCH_ROUNDS", 3)
}

/// The result of one backfill.
struct Run {
    took: Duration,
    kib: u64,
}

async fn measure(store: &str, location: &StoreLocation, began: Instant, limit: Duration) {
    let documents = number("BENCH_DOCUMENTS", 1_000_000);
    let db = testkit::open_location!(location.clone());
    fill(&db, documents).await;
    println!("\n{store}");
    let (mut bare, mut off, mut on) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds() {
        if began.elapsed() > limit {
            println!("  out of time after {round} rounds");
            break;
        }
        // The order may matter, so it rotates.
        for turn in 0..3 {
            let field = format!("f{round}_{turn}");
            match (turn + round) % 3 {
                0 => bare.push(update_many(&db, &field, documents).await),
                1 => off.push(backfill(location, &field, "off").await),
                _ => on.push(backfill(location, &field, "on").await),
            }
        }
    }
    let reference = median(bare.clone());
    println!("  {:34} {}", "one bare update_many", format_rate(reference, documents));
    for (name, target, runs) in [("Batched, journal off", 70, &off), ("Batched, journal on", 35, &on)] {
        let took = median(runs.iter().map(|run| run.took).collect());
        let memory = runs.iter().map(|run| run.kib).max().unwrap_or(0);
        println!(
            "  {name:34} {}   {:3.0} % (target {target})   peak {} MiB (target under 100)",
            format_rate(took, documents),
            100.0 * reference.as_secs_f64() / took.as_secs_f64(),
            memory / 1024,
        );
    }
    let start = start_without_pending(&db).await;
    println!("  {:34} {:.2} ms", "start without pending migrations", start.as_secs_f64() * 1000.0);
    db.close().await;
}

fn format_rate(took: Duration, documents: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a rounded figure")]
    let rate = documents as f64 / took.as_secs_f64();
    format!("{:7.2} s   {rate:9.0}/s", took.as_secs_f64())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Inserts stories of a few hundred bytes.
async fn fill(db: &Database, documents: u64) {
    let stories = db.collection(COLLECTION);
    let mut at = 0;
    while at < documents {
        let next = documents.min(at + 5000);
        let story = |i: u64| {
            doc! {
                "title": format!("Story {i}"), "slug": format!("story-{i}"), "published": !i.is_multiple_of(3),
                "content": "Field notes are what is written down while it is seen. ".repeat(5),
            }
        };
        let batch: Vec<Document> = (at..next).map(story).collect();
        stories.insert_many(batch).await.expect("documents are inserted");
        at = next;
    }
}

async fn update_many(db: &Database, field: &str, documents: u64) -> Duration {
    let field = docstore::Field::parse(field).expect("a field");
    let began = Instant::now();
    let update = Update::new().set(field.clone(), "a value");
    let done = db.collection(COLLECTION).update_many(&Filter::missing(field), &update).await;
    assert_eq!(done.expect("an update").modified, documents);
    began.elapsed()
}

async fn backfill(location: &StoreLocation, field: &str, journal: &str) -> Run {
    let task = format!("{field} {journal} {}", location.to_variable());
    let program = std::env::current_exe().expect("this program");
    let output = tokio::task::spawn_blocking(move || Command::new(program).env(CHILD, task).output());
    let output = output.await.expect("a thread").expect("a process");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let number = |name: &str| -> u64 {
        text.split_whitespace().find_map(|word| word.strip_prefix(name)?.parse().ok()).expect("a figure")
    };
    Run { took: Duration::from_millis(number("ms=")), kib: number("kib=") }
}

/// The process that runs one backfill.
async fn child(task: &str) {
    let words: Vec<&str> = task.splitn(3, ' ').collect();
    let [field, journal, location] = words[..] else { panic!("invalid task: {task}") };
    let db = testkit::open_location!(StoreLocation::from_variable(location));
    let migrator = Migrator::new(db.clone(), Backfill::graph(field, journal == "on"), settings());
    let began = Instant::now();
    let report = migrator.up(UpMode::Start).await.expect("the backfill ends well");
    let took = began.elapsed();
    assert_eq!(report.applied.len(), 1);
    db.close().await;
    println!("ms={} kib={}", took.as_millis(), peak_resident_kib());
}

fn settings() -> Settings {
    Settings {
        app_version: "bench".into(),
        actor: "bench".into(),
        allow_unknown: true,
        ..Settings::default()
    }
}

fn peak_resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is there");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a figure of memory");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

/// Returns the median duration of `up` without pending migrations.
async fn start_without_pending(db: &Database) -> Duration {
    let graph = || {
        let mut all: Vec<Box<dyn Migration>> = Vec::new();
        for (at, id) in ["0001_a", "0002_b", "0003_c", "0004_d"].into_iter().enumerate() {
            let after: &'static [&'static str] = [&[][..], &["0001_a"], &["0002_b"], &["0003_c"]][at];
            all.push(Box::new(Nothing(Box::leak(Box::new(Meta::new(id, "does nothing").after(after))))));
        }
        Graph::new(all).expect("a graph")
    };
    let once = || Migrator::new(db.clone(), graph(), settings());
    once().up(UpMode::Start).await.expect("nothing to fail");
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let migrator = once();
        let began = Instant::now();
        migrator.up(UpMode::Start).await.expect("nothing to do");
        times.push(began.elapsed());
    }
    median(times)
}

struct Nothing(&'static Meta);

#[async_trait]
impl Migration for Nothing {
    fn meta(&self) -> &'static Meta {
        self.0
    }
    async fn up(&self, _: &mut Up<'_>) -> Result<()> {
        Ok(())
    }
    fn undo(&self) -> Undo {
        Undo::Journal
    }
    async fn check(&self, _: &Check<'_>) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}

struct Backfill {
    meta: &'static Meta,
    field: Arc<str>,
}

impl Backfill {
    fn graph(field: &str, journal: bool) -> Graph {
        let id: &'static str = Box::leak(format!("0001_{field}").into_boxed_str());
        let mut meta = Meta::new(id, "fills a field").mode(Mode::Batched);
        if !journal {
            meta = meta.without_journal();
        }
        let it = Self { meta: Box::leak(Box::new(meta)), field: field.into() };
        Graph::new(vec![Box::new(it)]).expect("a graph")
    }
}

#[async_trait]
impl Migration for Backfill {
    fn meta(&self) -> &'static Meta {
        self.meta
    }

    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        let field = docstore::Field::parse(&*self.field)?;
        cx.set_where_missing("fill", COLLECTION, &Filter::All, field, "a value").await?;
        Ok(())
    }

    fn undo(&self) -> Undo {
        Undo::Journal
    }

    async fn check(&self, _: &Check<'_>) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}
