use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use docstore::Database;
use migrator::{DownRequest, Event, Migrator, Mode, Observer, UpMode};

use crate::place::{Place, block_on, settings};
use crate::workers::{Does, Worker};

/// What the child says when it came to its end.
pub(crate) const DONE: &str = "the child is done";

const ORDERS: &str = "KILL_TEST_ORDERS";

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
    Migrator::new(db.clone(), Worker::new(mode, &steps(mode)).graph(), settings(observer))
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
    (ORDERS, format!("{task:?} {mode} {number} {}", place.told()))
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
    let words: Vec<&str> = orders.splitn(4, ' ').collect();
    let [task, mode, number, place] = words[..] else { panic!("orders that cannot be read: {orders}") };
    let task = if task == "Up" { Task::Up } else { Task::Down };
    let mode = MODES[mode.parse::<usize>().unwrap()];
    let place = Place::read(place);
    let killer = Arc::new(Killer { left: AtomicUsize::new(number.parse().unwrap()) });
    block_on(async {
        let db = place.open().await;
        carry_out(&migrator(&db, mode, Some(killer)), task).await;
        db.close().await;
    });
    println!("{DONE}");
}
