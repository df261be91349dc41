use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use docstore::bson::{DateTime, doc};
use docstore::{Database, EngineKind, Filter, embedded, mongo};
use migrator::{
    Check, Error, Event, Finding, Graph, Meta, Migration, Migrator, Observer, Result, Settings, Undo, Up,
    UpMode,
};

/// What the child says before it is stopped.
pub(crate) const HERE: &str = "stopped here";
/// What it says when it noticed that its lease is lost.
pub(crate) const LOST: &str = "the lease is lost";

/// What it says when it came to its end.
pub(crate) const END: &str = "nothing is left to do";

const FILE: &str = "STOPPED_TEST_FILE";
const URI: &str = "STOPPED_TEST_URI";
const DATABASE: &str = "STOPPED_TEST_DATABASE";
const NUMBER: &str = "STOPPED_TEST_NUMBER";

/// Where the store is.
#[derive(Clone)]
pub(crate) enum Place {
    Embedded(PathBuf),
    Mongo(String, String),
}

impl Place {
    pub(crate) async fn open(&self) -> Database {
        match self {
            Self::Embedded(path) => embedded::open(embedded::Options { path: path.clone() }).await,
            Self::Mongo(uri, database) => {
                let (uri, database) = (uri.clone(), Some(database.clone()));
                mongo::connect(mongo::Options { uri, database, app_name: "tests".into() }).await
            }
        }
        .unwrap()
    }
}

struct Fills;

#[async_trait]
impl Migration for Fills {
    fn meta(&self) -> &'static Meta {
        const { &Meta::new("0001_fills", "fills") }
    }

    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        cx.insert_if_absent("a", "things", &Filter::eq("name", "a"), doc! { "name": "a" }).await?;
        cx.set_where_missing("x", "things", &Filter::All, "x", 1).await?;
        // With an x: a resumed run goes through the earlier steps again.
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

pub(crate) fn migrator(db: &Database, observer: Option<Arc<dyn Observer>>) -> Migrator {
    let settings = Settings {
        // Short, so that the next one takes over soon; long enough for a busy machine to renew it.
        lease_ttl: Duration::from_secs(3),
        clock: Arc::new(|| DateTime::from_millis(1_700_000_000_000)),
        observer: observer.unwrap_or_else(|| Arc::new(())),
        ..Settings::default()
    };
    Migrator::new(db.clone(), Graph::new(vec![Box::new(Fills)]).unwrap(), settings)
}

pub(crate) fn orders(place: &Place, number: usize) -> Vec<(&'static str, String)> {
    let mut orders = vec![(NUMBER, number.to_string())];
    match place {
        Place::Embedded(path) => orders.push((FILE, path.to_str().unwrap().to_owned())),
        Place::Mongo(uri, database) => orders.extend([(URI, uri.clone()), (DATABASE, database.clone())]),
    }
    orders
}

/// Stops this process at the place with this number.
struct Stopper {
    left: AtomicUsize,
    /// A process that is stopped in a transaction of the embedded store keeps all others from writing, so there only
    /// the places between transactions count.
    within: bool,
}

impl Observer for Stopper {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Boundary { in_transaction, .. } if self.within || !in_transaction => {}
            _ => return,
        }
        if self.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            println!("\n{HERE}");
            std::io::stdout().flush().unwrap();
            let stopped = Command::new("kill").args(["-STOP", &std::process::id().to_string()]).status();
            assert!(stopped.unwrap().success());
        }
    }
}

pub(crate) fn run() {
    let variable = |name| std::env::var(name).ok();
    let Some(number) = variable(NUMBER) else { return };
    let place = match (variable(FILE), variable(URI), variable(DATABASE)) {
        (Some(file), ..) => Place::Embedded(file.into()),
        (None, Some(uri), Some(database)) => Place::Mongo(uri, database),
        _ => panic!("no store was named"),
    };
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(
        async {
            let db = place.open().await;
            let within = db.kind() != EngineKind::Embedded;
            let stopper = Arc::new(Stopper { left: AtomicUsize::new(number.parse().unwrap()), within });
            match migrator(&db, Some(stopper)).up(UpMode::Start).await {
                Ok(_) => println!("{END}"),
                Err(Error::LeaseLost) => println!("{LOST}"),
                Err(error) => println!("another error: {error}"),
            }
            db.close().await;
        },
    );
}
