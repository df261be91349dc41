/// Taking one back.
mod down;
/// Looking at what is to come, and at what should hold.
mod examine;
/// Getting the lease, or waiting for who has it.
mod lock;
/// Reads only: status, verify, wait.
mod look;
/// Applying what is pending.
mod up;

use std::time::{Duration, Instant};

use docstore::Database;

use crate::context::Check;
use crate::lease::Held;
use crate::plan::{Action, Refusal, Request, plan};
use crate::session::{Runner, Session};
use crate::view::View;
use crate::{Error, Finding, Graph, Result, Settings, State};

/// Applies migrations to a database, takes them back, and says where things stand.
pub struct Migrator {
    db: Database,
    graph: Graph,
    settings: Settings,
    runner: Runner,
}

/// Who asks for an `up`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpMode {
    /// A person, who has seen what failed: it is retried.
    Operator,
    /// A program that starts: what failed in an earlier run is told, not retried.
    Start,
}

/// How a `down` is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DownRequest {
    /// Whether losses that the plan shows are accepted.
    pub yes: bool,
}

impl Migrator {
    /// A migrator; nothing is read or written yet.
    pub fn new(db: Database, graph: Graph, settings: Settings) -> Self {
        Self { db, graph, settings, runner: Runner::new() }
    }

    /// The migrations it knows.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    async fn view(&self) -> Result<View> {
        View::read(&self.db, &self.settings, self.graph.shape()).await
    }

    fn plan(&self, view: &View, request: Request) -> Result<Vec<Action>> {
        let shape = self.graph.shape();
        plan(shape, &view.entries, request).map_err(|refusal| match refusal {
            Refusal::Failed(at) => {
                let entry = &view.entries[shape.id(at)];
                Error::NeedsRepair {
                    id: entry.id.clone(),
                    undo: entry.state == State::RollingBack,
                    step: entry.step.clone(),
                    error: entry.error.clone().unwrap_or_default(),
                    at: entry.changed_at,
                    counts: entry.counts.clone(),
                }
            }
            Refusal::Dependants(at, dependants) => Error::Dependants { id: shape.id(at).into(), dependants },
        })
    }

    async fn session<'a>(&'a self, held: &'a Held) -> Result<Session<'a>> {
        let transactions = self.db.facts().await?.transactions;
        Ok(Session { db: &self.db, settings: &self.settings, runner: &self.runner, held, transactions })
    }

    async fn check(&self, position: usize) -> Result<Vec<Finding>> {
        let migration = self.graph.shape().id(position);
        self.graph.get(position).check(&Check { store: &self.db, settings: &self.settings, migration }).await
    }

    /// Runs work under the lease: stops it when the lease is lost, gives the lease back in any case, and tells the
    /// work's own error first.
    async fn under<T>(&self, held: Held, work: impl AsyncWork<T>) -> Result<T> {
        let outcome = tokio::select! {
            biased;
            outcome = work.run(self, &held) => outcome,
            () = held.lost() => Err(Error::LeaseLost),
        };
        held.release().await;
        outcome
    }
}

/// Work that is done under the lease.
trait AsyncWork<T> {
    fn run(self, migrator: &Migrator, held: &Held) -> impl Future<Output = Result<T>> + Send;
}

/// Waits a little longer each time, up to a second.
struct Backoff {
    began: Instant,
    limit: Duration,
    pause: Duration,
}

impl Backoff {
    fn new(limit: Duration) -> Self {
        Self { began: Instant::now(), limit, pause: Duration::from_millis(50) }
    }

    /// Comes back after a pause; `false` if the time is up.
    async fn pause(&mut self) -> bool {
        let left = self.limit.saturating_sub(self.began.elapsed());
        if left.is_zero() {
            return false;
        }
        tokio::time::sleep(self.pause.min(left)).await;
        self.pause = (self.pause * 2).min(Duration::from_secs(1));
        true
    }
}
