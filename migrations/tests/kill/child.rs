use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use docstore::bson::DateTime;
use docstore::{Database, mongo, sqlite};
use migrator::{DownRequest, Event, Graph, Migrator, Observer, Settings, UpMode};

pub(crate) const EMAIL: &str = "ada@example.com";
/// What the child says when it came to its end.
pub(crate) const DONE: &str = "the child is done";
/// What it says before it is killed, followed by the migration.
pub(crate) const KILLED: &str = "killed in ";

const FILE: &str = "KILL_TEST_FILE";
const URI: &str = "KILL_TEST_URI";
const DATABASE: &str = "KILL_TEST_DATABASE";
const TASK: &str = "KILL_TEST_TASK";
const NUMBER: &str = "KILL_TEST_NUMBER";

/// Where the store is.
#[derive(Clone)]
pub(crate) enum Place {
    Embedded(PathBuf),
    Mongo(String, String),
}

impl Place {
    pub(crate) async fn open(&self) -> Database {
        match self {
            Self::Embedded(path) => sqlite::open(sqlite::Options { path: path.clone() }).await,
            Self::Mongo(uri, database) => {
                let (uri, database) = (uri.clone(), Some(database.clone()));
                mongo::connect(mongo::Options { uri, database, app_name: "tests".into() }).await
            }
        }
        .unwrap()
    }
}

/// Which way the child goes.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Task {
    /// All up; so does the successor.
    Up,
    /// All down; so does the successor.
    Down,
    /// All down; the successor goes up.
    DownThenUp,
    /// All down, after a run of the earlier tool; so does the successor.
    DownImported,
}

impl Task {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::DownThenUp => "down-then-up",
            Self::DownImported => "down-imported",
        }
    }
}

pub(crate) fn migrator(db: &Database, observer: Option<Arc<dyn Observer>>) -> Migrator {
    let settings = Settings {
        // Short, so that the next one takes over soon; long enough for a busy machine to renew it.
        lease_ttl: Duration::from_secs(3),
        env: Arc::new(|name| (name == "ADMIN_EMAIL").then(|| EMAIL.into())),
        clock: Arc::new(|| DateTime::from_millis(1_700_000_000_000)),
        import_from: Some("pymongo_migrate".into()),
        observer: observer.unwrap_or_else(|| Arc::new(())),
        ..Settings::default()
    };
    Migrator::new(db.clone(), Graph::new(migrations::all()).unwrap(), settings)
}

/// Takes everything back. `yes` is said only where losses are to be expected.
pub(crate) async fn down(migrator: &Migrator, yes: bool) {
    let last = DownRequest { confirmed: yes, ..DownRequest::last() };
    while !migrator.down(&last).await.unwrap().is_empty() {}
}

pub(crate) fn orders(place: &Place, task: Task, number: usize) -> Vec<(&'static str, String)> {
    let mut orders = vec![(TASK, task.name().to_owned()), (NUMBER, number.to_string())];
    match place {
        Place::Embedded(path) => orders.push((FILE, path.to_str().unwrap().to_owned())),
        Place::Mongo(uri, database) => orders.extend([(URI, uri.clone()), (DATABASE, database.clone())]),
    }
    orders
}

/// Kills this process, without a chance to tidy up, at the place with this number.
struct Killer {
    left: AtomicUsize,
}

impl Observer for Killer {
    fn event(&self, event: &Event<'_>) {
        let Event::Boundary { migration, .. } = event else { return };
        if self.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            println!("\n{KILLED}{migration}");
            std::io::stdout().flush().unwrap();
            let status = Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
            // The signal comes before the next instruction of this process that matters.
            let _ = status;
            loop {
                std::thread::park();
            }
        }
    }
}

pub(crate) fn run() {
    let variable = |name| std::env::var(name).ok();
    let (Some(task), Some(number)) = (variable(TASK), variable(NUMBER)) else { return };
    let place = match (variable(FILE), variable(URI), variable(DATABASE)) {
        (Some(file), ..) => Place::Embedded(file.into()),
        (None, Some(uri), Some(database)) => Place::Mongo(uri, database),
        _ => panic!("no store was named"),
    };
    let killer = Arc::new(Killer { left: AtomicUsize::new(number.parse().unwrap()) });
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(
        async {
            let db = place.open().await;
            let migrator = migrator(&db, Some(killer));
            if task == Task::Up.name() {
                migrator.up(UpMode::Start).await.unwrap();
            } else {
                down(&migrator, task == Task::DownImported.name()).await;
            }
            db.close().await;
        },
    );
    println!("{DONE}");
}
