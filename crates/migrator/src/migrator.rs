//! [`Migrator`], the public face of the engine. Each command is a function in `commands`.

use std::path::Path;
use std::sync::Arc;

use docstore::{Database, LeaseHolder};

#[cfg(doc)]
use crate::Error;
use crate::backup::{RestoreReport, RestoreRequest};
use crate::commands;
use crate::dry_run::Preview;
use crate::graph::Dag;
use crate::ledger::LedgerSnapshot;
use crate::plan::PlanInput;
use crate::rehearsal::{self, RehearsalReport, RehearsalRequest, RoundTripReport, RoundTripRequest};
use crate::run::{Check, HeldLease, RunGuard, RunSession, Runner};
use crate::{
    CancellationToken, ChecksumDrift, DownPlan, DownReport, DownRequest, Finding, Graph, HistoryRequest,
    ImportedMigration, Lint, LogRecord, MigrationDetails, MissingEnv, Preflight, RedoReport, Repair,
    RepairReport, ResetReport, ResetRequest, Result, Settings, Stamp, StampReport, Status, StatusEntry,
    UnlockOutcome, UpPlan, UpReport, UpRequest,
};

/// Applies migrations to a database, rolls them back, and reports their state.
///
/// A command that writes holds the lease `migrations` while it does, so one runner is active at a time. A command that
/// only reads never writes and never waits for the lease. Ids are accepted as unique prefixes, for example `0003`.
pub struct Migrator {
    pub(crate) db: Database,
    /// Shared with migrators for scratch databases.
    pub(crate) graph: Arc<Graph>,
    pub(crate) settings: Settings,
    pub(crate) runner: Runner,
}

impl Migrator {
    /// Creates a migrator. Nothing is read or written yet.
    pub fn new(db: Database, graph: Graph, settings: Settings) -> Self {
        Self { db, graph: Arc::new(graph), settings, runner: Runner::new() }
    }

    /// Returns the migrations of this program.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Returns the run id that everything this migrator does is recorded under.
    pub fn run_id(&self) -> &str {
        &self.runner.run_id
    }

    /// Returns the ids of the heads; see [`Graph::heads`].
    pub fn heads(&self) -> Vec<String> {
        self.graph.heads().into_iter().map(str::to_owned).collect()
    }

    /// Returns the servers that are registered; see [`Migrator::serve_registered`]. Writes nothing.
    pub async fn running_servers(&self) -> Result<Vec<LeaseHolder>> {
        commands::running_servers(self).await
    }
}

/// Commands that write.
impl Migrator {
    /// Applies the pending migrations up to the target, after importing what an earlier tool applied. If another runner
    /// holds the lease, waits for it and then applies what is left. With nothing to do, at most two reads are made.
    ///
    /// # Errors
    /// [`Error::Failed`] if a migration fails now, [`Error::NeedsRepair`] if one failed earlier (`Start` only),
    /// [`Error::Interrupted`] if a stop was requested, [`Error::MissingEnv`] before anything is written,
    /// [`Error::Locked`] if the lease was not free within [`Settings::wait`], [`Error::ProgramTooOld`],
    /// [`Error::OutOfOrder`], …
    pub async fn up(&self, request: impl Into<UpRequest>) -> Result<UpReport> {
        commands::up(self, &request.into()).await
    }

    /// Rolls migrations back, one after the other, in the order of [`Migrator::plan_down`]. If one is refused or fails,
    /// those before it stay rolled back and those after it are untouched.
    ///
    /// # Errors
    /// [`Error::DataLoss`] if data would be lost; [`Error::ConfirmationRequired`] if everything, or more than was named,
    /// would be rolled back without `confirmed`; [`Error::Irreversible`], [`Error::UnknownDependents`],
    /// [`Error::UndoFailed`], …
    pub async fn down(&self, request: impl Into<DownRequest>) -> Result<Vec<DownReport>> {
        commands::down(self, &request.into()).await
    }

    /// Rolls a migration back and applies it again, together with the applied migrations that depend on it. Everything
    /// that could refuse the second half is checked before the first.
    ///
    /// # Errors
    /// Those of [`Migrator::down`] and [`Migrator::up`]; [`Error::WrongState`] if it is not applied.
    pub async fn redo(&self, id: &str, confirmed: bool) -> Result<RedoReport> {
        commands::redo(self, id, confirmed).await
    }

    /// Rolls every migration back, or drops everything, and applies all migrations.
    ///
    /// # Errors
    /// [`Error::ResetRefused`] in production and if `confirm` names another database, and those of
    /// [`take`](fn@crate::backup::take): nothing was changed. [`Error::Irreversible`] if a migration cannot be rolled back; request `drop` then.
    pub async fn reset(&self, request: &ResetRequest) -> Result<ResetReport> {
        commands::reset(self, request).await
    }

    /// Imports what an earlier tool applied, and does nothing else.
    ///
    /// # Errors
    /// [`Error::ImportUnknown`], [`Error::ImportContradiction`], [`Error::MissingEnv`]: nothing was changed.
    pub async fn import(&self) -> Result<Vec<ImportedMigration>> {
        commands::import(self).await
    }

    /// Records in the ledger that a migration is applied, or that it is not, without running anything. A migration
    /// stamped as applied has no journal; the journal of one stamped as rolled back is dropped.
    ///
    /// # Errors
    /// [`Error::ReasonRequired`]; [`Error::WrongState`] if the ledger already says so, or if the migration is stuck (use
    /// [`Migrator::repair`]); [`Error::MissingDependencies`] if a dependency is not applied;
    /// [`Error::RequiredByApplied`] if an applied migration depends on it.
    pub async fn stamp(&self, id: &str, to: Stamp, reason: &str) -> Result<StampReport> {
        commands::stamp(self, id, to, reason).await
    }

    /// Records an operator's decision about a migration that failed or was interrupted, on its way up or down.
    ///
    /// # Errors
    /// [`Error::ReasonRequired`]; [`Error::WrongState`] if the migration is not stuck.
    pub async fn repair(&self, id: &str, to: Repair, reason: &str) -> Result<RepairReport> {
        commands::repair(self, id, to, reason).await
    }

    /// Accepts the present source of an applied migration that was changed: the operator states that the change does not
    /// affect what it did. Nothing is run.
    ///
    /// # Errors
    /// [`Error::ReasonRequired`]; [`Error::WrongState`] if it is not applied, or has not changed.
    pub async fn accept_checksum(&self, id: &str, reason: &str) -> Result<ChecksumDrift> {
        commands::accept_checksum(self, id, reason).await
    }

    /// Releases the lease of a dead runner: one whose lease has expired, or whose process no longer exists. The lease of
    /// any other runner expires by itself unless it is renewed; `force` releases it at once, and raises the fencing token
    /// so that the ledger refuses writes of that runner.
    ///
    /// # Errors
    /// [`Error::ReasonRequired`]; [`Error::LockHeld`].
    pub async fn unlock(&self, reason: &str, force: bool) -> Result<UnlockOutcome> {
        commands::unlock(self, reason, force).await
    }

    /// Registers this process as a server of the database until `stop` is cancelled, for [`Migrator::running_servers`]. The
    /// registration is renewed at intervals and expires if the process dies.
    pub async fn serve_registered(&self, stop: &CancellationToken) {
        commands::serve_registered(self, stop).await;
    }

    /// Restores a backup while no migration runs. If the backup was taken before a migration and is restored as a whole,
    /// the ledger then records that migration as rolled back.
    ///
    /// Later changes of other migrations to the same collections are lost: [`RestoreReport::applied_since`] names them.
    ///
    /// # Errors
    /// Those of [`restore`](fn@crate::backup::restore); [`Error::RequiredByApplied`] if an applied migration depends on that one. Nothing was changed.
    pub async fn restore(&self, dir: &Path, id: &str, request: &RestoreRequest) -> Result<RestoreReport> {
        commands::restore(self, dir, id, request).await
    }
}

/// Commands that only read.
impl Migrator {
    /// Returns the state of every migration. Migrations of an earlier tool count as applied whether or not they were
    /// imported yet.
    pub async fn status(&self) -> Result<Status> {
        commands::status(self).await
    }

    /// Returns the last applied migrations: those that no applied migration depends on.
    pub async fn current(&self) -> Result<Vec<StatusEntry>> {
        commands::current(self).await
    }

    /// Returns the records of the log, oldest first.
    ///
    /// # Errors
    /// [`Error::UnknownId`], [`Error::Ambiguous`], [`Error::UnknownRun`].
    pub async fn history(&self, request: &HistoryRequest) -> Result<Vec<LogRecord>> {
        commands::history(self, request).await
    }

    /// Returns everything that is known of one migration.
    ///
    /// # Errors
    /// [`Error::UnknownId`], [`Error::Ambiguous`].
    pub async fn show(&self, id: &str) -> Result<MigrationDetails> {
        commands::show(self, id).await
    }

    /// Returns the full id of a migration of this program or of the ledger.
    ///
    /// # Errors
    /// [`Error::UnknownId`]; [`Error::Ambiguous`] naming every match.
    pub async fn resolve(&self, prefix: &str) -> Result<String> {
        commands::resolve_in(self, &self.snapshot().await?, prefix)
    }

    /// Succeeds if [`Migrator::up`] would begin. Writes nothing.
    ///
    /// # Errors
    /// Those that refuse an `up` before it writes: of the plan, missing variables, impossible modes, conditions of imported
    /// migrations that cannot be checked. The lease is not one of them: `up` waits for its holder.
    pub async fn require_up(&self, request: impl Into<UpRequest>) -> Result<()> {
        commands::require_up(self, &request.into()).await
    }

    /// Returns what [`Migrator::up`] would do, in order.
    ///
    /// # Errors
    /// Those that refuse an `up`, except missing variables: see [`Migrator::missing_env`].
    pub async fn plan_up(&self, request: impl Into<UpRequest>) -> Result<UpPlan> {
        commands::plan_up(self, &request.into()).await
    }

    /// Returns what [`Migrator::down`] would roll back, in order, with the data that would be lost; empty if nothing is
    /// applied.
    ///
    /// # Errors
    /// Those that refuse a `down`, except for confirmation.
    pub async fn plan_down(&self, request: impl Into<DownRequest>) -> Result<Vec<DownPlan>> {
        commands::plan_down(self, &request.into()).await
    }

    /// Returns what an `up` would do to the data: the operations, the number of documents, and samples before and after.
    ///
    /// # Errors
    /// Those that refuse an [`Migrator::up`] before it writes.
    pub async fn preview(&self, request: impl Into<UpRequest>) -> Result<Preview> {
        commands::preview(self, &request.into(), true).await
    }

    /// Returns the variables that an `up` needs and that are not set.
    pub async fn missing_env(&self, request: impl Into<UpRequest>) -> Result<Vec<MissingEnv>> {
        commands::missing_env(self, &request.into()).await
    }

    /// Checks everything that an `up` needs. Writes neither to the store nor to the backup folder.
    pub async fn preflight(&self, request: &UpRequest) -> Preflight {
        commands::preflight(self, request).await
    }

    /// Succeeds if nothing is pending.
    ///
    /// # Errors
    /// [`Error::Pending`] with the ids; [`Error::NeedsRepair`] if one failed; [`Error::ProgramTooOld`], …
    pub async fn verify(&self) -> Result<()> {
        commands::verify(self).await
    }

    /// Waits until another runner has applied everything.
    ///
    /// # Errors
    /// As [`Migrator::verify`], after [`Settings::wait`] or if a migration failed; [`Error::Interrupted`] if a stop was
    /// requested.
    pub async fn wait(&self) -> Result<()> {
        commands::wait(self).await
    }

    /// Runs the lint rules: on all migrations without the data, and on the pending ones with it.
    pub async fn lint(&self) -> Result<Vec<Lint>> {
        commands::lint(self).await
    }

    /// Checks the conditions of every applied migration again. Returns what does not hold, with the migration's id.
    pub async fn conditions(&self) -> Result<Vec<(String, Finding)>> {
        commands::conditions(self).await
    }

    /// Returns the applied migrations whose source has changed since they were applied.
    pub async fn checksum_drift(&self) -> Result<Vec<ChecksumDrift>> {
        commands::checksum_drift(self).await
    }

    /// Copies the database into a scratch database, applies the pending migrations there, and drops the copy.
    ///
    /// # Errors
    /// [`Error::Store`] if the copy cannot be made. A migration that fails is not an error here: see
    /// [`RehearsalReport::failure`].
    pub async fn rehearse(&self, request: &RehearsalRequest) -> Result<RehearsalReport> {
        rehearsal::rehearse(self, request).await
    }

    /// Tests migrations on scratch databases, each on each set of data: it is applied; run again on its own result, which
    /// must not change anything; rolled back, which must restore what was there before; applied again, which must lead to
    /// the same content; and once more in each direction with a crash at each boundary between two writes.
    ///
    /// # Errors
    /// [`Error::Store`] if a scratch database cannot be created; [`Error::UnknownId`]. A migration that does not pass is
    /// not an error here: see [`RoundTripReport::passed`].
    pub async fn round_trip(&self, request: &RoundTripRequest) -> Result<RoundTripReport> {
        rehearsal::round_trip(self, request).await
    }
}

/// Helpers of the commands.
impl Migrator {
    pub(crate) fn dag(&self) -> &Dag {
        self.graph.dag()
    }

    pub(crate) fn id(&self, position: usize) -> &str {
        self.graph.dag().id(position)
    }

    /// Returns the ids at these positions.
    pub(crate) fn ids(&self, positions: &[usize]) -> Vec<String> {
        positions.iter().map(|&at| self.id(at).to_owned()).collect()
    }

    /// Creates a migrator with the same migrations for another database.
    pub(crate) fn for_database(&self, db: Database, settings: Settings) -> Self {
        Self { db, graph: Arc::clone(&self.graph), settings, runner: Runner::new() }
    }

    pub(crate) async fn snapshot(&self) -> Result<LedgerSnapshot> {
        LedgerSnapshot::read(&self.db, &self.settings, self.dag()).await
    }

    /// Returns the planner's input. `held` says whether this process holds the lease.
    pub(crate) fn plan_input<'a>(&'a self, snapshot: &'a LedgerSnapshot, held: bool) -> PlanInput<'a> {
        PlanInput { dag: self.dag(), ledger: &snapshot.entries, contexts: &self.settings.contexts, held }
    }

    pub(crate) async fn session<'a>(&'a self, held: &'a HeldLease) -> Result<RunSession<'a>> {
        Ok(RunSession {
            db: &self.db,
            settings: &self.settings,
            runner: &self.runner,
            held,
            transactions: self.db.facts().await?.transactions,
            guard: RunGuard::new(),
            strict: false,
        })
    }

    /// Checks the conditions of one migration.
    pub(crate) async fn check(&self, position: usize) -> Result<Vec<Finding>> {
        let check = Check { store: &self.db, settings: &self.settings, migration: self.id(position) };
        self.graph.get(position).check(&check).await
    }
}
