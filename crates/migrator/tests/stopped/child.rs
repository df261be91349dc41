use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use docstore::bson::doc;
use docstore::{Database, EngineKind, Filter};
use migrator::{
    Check, Error, Event, Finding, Graph, Meta, Migration, Migrator, Observer, Result, Undo, Up, UpMode,
};

use crate::place::{Place, block_on, settings};

/// What the child says before it is stopped.
pub(crate) const HERE: &str = "stopped here";
/// What it says when it noticed that its lease is lost.
pub(crate) const LOST: &str = "the lease is lost";

/// What it says when it came to its end.
pub(crate) const END: &str = "nothing is left to do";

/// What it is told once it was let go on.
pub(crate) const GO: &str = "go\n";

const ORDERS: &str = "STOPPED_TEST_ORDERS";

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
    Migrator::new(db.clone(), Graph::new(vec![Box::new(Fills)]).unwrap(), settings(observer))
}

/// What the child is told: the place to be stopped at, and the store.
pub(crate) fn orders(place: &Place, number: usize) -> (&'static str, String) {
    (ORDERS, format!("{number} {}", place.told()))
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
            // The kernel may take its time, above all on a busy machine: nothing is done before it went on again.
            let mut line = String::new();
            assert_eq!(std::io::stdin().read_line(&mut line).unwrap(), GO.len(), "{line:?}");
        }
    }
}

pub(crate) fn run() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let (number, place) = orders.split_once(' ').unwrap();
    let (number, place) = (number.parse().unwrap(), Place::read(place));
    block_on(async {
        let db = place.open().await;
        let within = db.kind() != EngineKind::Embedded;
        let stopper = Arc::new(Stopper { left: AtomicUsize::new(number), within });
        match migrator(&db, Some(stopper)).up(UpMode::Start).await {
            Ok(_) => println!("{END}"),
            Err(Error::LeaseLost) => println!("{LOST}"),
            Err(error) => println!("another error: {error}"),
        }
        db.close().await;
    });
}
