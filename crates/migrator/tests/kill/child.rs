use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use docstore::bson::DateTime;
use docstore::{Database, embedded, mongo};
use migrator::{DownRequest, Event, Migrator, Mode, Observer, Settings, UpMode};

use crate::workers::{Does, Worker};

/// What the child says when it came to its end.
pub(crate) const DONE: &str = "the child is done";

const ORDERS: &str = "KILL_TEST_ORDERS";

/// Where the store is.
#[derive(Clone)]
pub(crate) enum Place {
    Embedded(PathBuf),
    Mongo { uri: String, database: String },
}

impl Place {
    pub(crate) async fn open(&self) -> Database {
        match self {
            Self::Embedded(path) => embedded::open(embedded::Options { path: path.clone() }).await,
            Self::Mongo { uri, database } => {
                let (uri, database) = (uri.clone(), Some(database.clone()));
                mongo::connect(mongo::Options { uri, database, app_name: "tests".into() }).await
            }
        }
        .unwrap()
    }
}

/// What the child does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Task {
    Up,
    Down,
}

/// The steps that a mode can hold.
fn steps(mode: Mode) -> Vec<Does> {
    let documents = [
        Does::Fill,
        Does::Insert,
        Does::CopyField,
        Does::Each,
        Does::InsertMany,
        Does::Copy,
        Does::Unset,
        Does::Delete,
    ];
    let mut steps = documents.to_vec();
    if mode != Mode::Transaction {
        steps.insert(1, Does::DropIndex);
        steps.insert(3, Does::MakeIndex);
    }
    steps
}

pub(crate) fn migrator(db: &Database, mode: Mode, observer: Option<Arc<dyn Observer>>) -> Migrator {
    let settings = Settings {
        // Short, so that the next one takes over soon; long enough for a busy machine to renew it.
        lease_ttl: Duration::from_secs(3),
        clock: Arc::new(|| DateTime::from_millis(1_700_000_000_000)),
        observer: observer.unwrap_or_else(|| Arc::new(())),
        ..Settings::default()
    };
    Migrator::new(db.clone(), Worker::new(mode, &steps(mode)).graph(), settings)
}

pub(crate) async fn carry_out(migrator: &Migrator, task: Task) {
    match task {
        Task::Up => drop(migrator.up(UpMode::Start).await.unwrap()),
        Task::Down => drop(migrator.down(DownRequest::default()).await.unwrap()),
    }
}

const MODES: [Mode; 3] = [Mode::Transaction, Mode::Idempotent, Mode::Batched];

/// What the child is told: task, mode, the place to be killed at, and the store.
pub(crate) fn orders(place: &Place, task: Task, mode: Mode, number: usize) -> (&'static str, String) {
    let mode = MODES.iter().position(|m| *m == mode).unwrap();
    let store = match place {
        Place::Embedded(path) => format!("file {}", path.display()),
        Place::Mongo { uri, database } => format!("{database} {uri}"),
    };
    (ORDERS, format!("{task:?} {mode} {number} {store}"))
}

/// Kills this process, without a chance to tidy up, at the place with this number.
struct Killer {
    left: AtomicUsize,
}

impl Observer for Killer {
    fn event(&self, event: &Event<'_>) {
        if !matches!(event, Event::Boundary { .. }) || self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return;
        }
        std::io::stdout().flush().unwrap();
        let _ = Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
        // The signal comes before the next instruction of this process that matters.
        loop {
            std::thread::park();
        }
    }
}

pub(crate) fn run() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let words: Vec<&str> = orders.splitn(5, ' ').collect();
    let [task, mode, number, database, store] = words[..] else {
        panic!("orders that cannot be read: {orders}")
    };
    let task = if task == "Up" { Task::Up } else { Task::Down };
    let mode = MODES[mode.parse::<usize>().unwrap()];
    let place = match database {
        "file" => Place::Embedded(store.into()),
        name => Place::Mongo { uri: store.into(), database: name.into() },
    };
    let killer = Arc::new(Killer { left: AtomicUsize::new(number.parse().unwrap()) });
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(
        async {
            let db = place.open().await;
            carry_out(&migrator(&db, mode, Some(killer)), task).await;
            db.close().await;
        },
    );
    println!("{DONE}");
}
