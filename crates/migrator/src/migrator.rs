use std::sync::Arc;
use std::time::{Duration, Instant};

use docstore::Database;

use crate::ledger::LedgerSnapshot;
use crate::plan::{Action, PlanInput, PlanRefusal, PlanRequest, plan};
use crate::run::Check;
use crate::run::HeldLease;
use crate::run::RunGuard;
use crate::run::{RunSession, Runner};
use crate::{Error, Finding, Graph, GraphError, Result, Settings, State};

/// Applies migrations to a database, takes them back, and says where things stand.
pub struct Migrator {
    pub(crate) db: Database,
    /// Shared with those that try it on a scratch database.
    pub(crate) graph: Arc<Graph>,
    pub(crate) settings: Settings,
    pub(crate) runner: Runner,
}

impl Migrator {
    /// A migrator; nothing is read or written yet.
    pub fn new(db: Database, graph: Graph, settings: Settings) -> Self {
        Self { db, graph: Arc::new(graph), settings, runner: Runner::new() }
    }

    /// The database.
    pub(crate) fn db(&self) -> &Database {
        &self.db
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// One with the same migrations for another database.
    pub(crate) fn elsewhere(&self, db: Database, settings: Settings) -> Self {
        Self { db, graph: Arc::clone(&self.graph), settings, runner: Runner::new() }
    }

    /// The migrations it knows.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The id of the run that it makes: of all that it does, since it was made.
    pub fn run_id(&self) -> &str {
        &self.runner.run_id
    }

    pub(crate) async fn view(&self) -> Result<LedgerSnapshot> {
        LedgerSnapshot::read(&self.db, &self.settings, self.graph.dag()).await
    }

    pub(crate) fn situation<'a>(&'a self, view: &'a LedgerSnapshot, held: bool) -> PlanInput<'a> {
        PlanInput { dag: self.graph.dag(), ledger: &view.entries, contexts: &self.settings.contexts, held }
    }

    pub(crate) fn plan(
        &self,
        view: &LedgerSnapshot,
        request: &PlanRequest,
        held: bool,
    ) -> Result<Vec<Action>> {
        plan(self.situation(view, held), request).map_err(|refusal| self.refused(view, refusal))
    }

    pub(crate) fn refused(&self, view: &LedgerSnapshot, refusal: PlanRefusal) -> Error {
        let dag = self.graph.dag();
        let id = |at: usize| dag.id(at).to_owned();
        match refusal {
            PlanRefusal::Failed(at) => {
                let entry = &view.entries[dag.id(at)];
                Error::NeedsRepair {
                    id: entry.id.clone(),
                    undo: entry.state == State::RollingBack,
                    step: entry.step.clone(),
                    error: entry.error.clone().unwrap_or_default(),
                    at: entry.changed_at,
                    counts: entry.counts.clone(),
                }
            }
            PlanRefusal::Undecided(at) => {
                Error::DecisionRequired { id: id(at), counts: view.entries[dag.id(at)].counts.clone() }
            }
            PlanRefusal::Dependants(at, dependents) => Error::UnknownDependents { id: id(at), dependents },
            PlanRefusal::SeveralHeads(heads) => {
                Error::Graph(GraphError::SeveralHeads(heads.into_iter().map(id).collect()))
            }
            PlanRefusal::TooOld(ids) => Error::ProgramTooOld(ids),
            PlanRefusal::NotInContext(at) => Error::NotInContext {
                id: id(at),
                needs: dag.spec(at).contexts.clone(),
                has: self.settings.contexts.clone(),
            },
            PlanRefusal::OutOfOrder { late, applied, shared } => {
                Error::OutOfOrder { late: id(late), applied: id(applied), shared }
            }
        }
    }

    pub(crate) async fn session<'a>(&'a self, held: &'a HeldLease) -> Result<RunSession<'a>> {
        let transactions = self.db.facts().await?.transactions;
        let guard = RunGuard::new();
        Ok(RunSession {
            db: &self.db,
            settings: &self.settings,
            runner: &self.runner,
            held,
            transactions,
            guard,
            strict: false,
        })
    }

    pub(crate) async fn check(&self, position: usize) -> Result<Vec<Finding>> {
        let migration = self.graph.dag().id(position);
        self.graph.get(position).check(&Check { store: &self.db, settings: &self.settings, migration }).await
    }

    /// Runs work under the lease: stops it when the lease is lost, gives the lease back in any case, and tells the
    /// work's own error first.
    pub(crate) async fn under<T>(&self, held: HeldLease, work: impl AsyncWork<T>) -> Result<T> {
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
pub(crate) trait AsyncWork<T> {
    fn run(self, migrator: &Migrator, held: &HeldLease) -> impl Future<Output = Result<T>> + Send;
}

/// Waits a little longer each time, up to a second.
pub(crate) struct Backoff {
    began: Instant,
    limit: Duration,
    pause: Duration,
}

impl Backoff {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { began: Instant::now(), limit, pause: Duration::from_millis(50) }
    }

    /// Comes back after a pause; `false` if the time is up.
    pub(crate) async fn pause(&mut self) -> bool {
        let left = self.limit.saturating_sub(self.began.elapsed());
        if left.is_zero() {
            return false;
        }
        tokio::time::sleep(self.pause.min(left)).await;
        self.pause = (self.pause * 2).min(Duration::from_secs(1));
        true
    }
}
