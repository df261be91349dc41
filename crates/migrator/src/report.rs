use std::time::Duration;

use bson::DateTime;
use serde::Serialize;

use crate::entry::LedgerEntry;
use crate::{Finding, Mode, Phase, Repair, Source, Stamp, State, StepCounts, Undo};

/// The result of an `up`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct UpReport {
    /// The id of the run, by which all of it can be rolled back.
    pub run_id: String,
    /// Migrations applied now, in order.
    pub applied: Vec<AppliedMigration>,
    /// Migrations imported from an earlier tool now.
    pub imported: Vec<ImportedMigration>,
    /// Interrupted rollbacks that were finished first.
    pub rolled_back: Vec<String>,
    /// Conditions that do not hold, with the migration that declares them. Also in the ledger, as warnings.
    pub findings: Vec<(String, Finding)>,
    /// The number of migrations that were applied before.
    #[serde(rename = "already")]
    pub already_applied: usize,
    /// Applied migrations that this program does not know.
    pub unknown: Vec<String>,
}

/// A migration that was applied by an `up`.
#[derive(Debug, Clone, Serialize)]
pub struct AppliedMigration {
    /// The migration.
    pub id: String,
    /// The duration of the last attempt.
    #[serde(rename = "duration_ms", serialize_with = "crate::serialize::milliseconds")]
    pub duration: Duration,
    /// The counts of its steps, including earlier attempts.
    pub counts: Vec<StepCounts>,
    /// Warnings: documents left out, and conditions that do not hold.
    pub warnings: Vec<String>,
    /// The backup taken before it, by this attempt or an earlier one.
    pub backup: Option<String>,
}

/// The result of the checks before an `up`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preflight {
    /// The checks, in order.
    pub checks: Vec<PreflightCheck>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreflightCheck {
    /// The subject of the check.
    pub name: &'static str,
    /// The outcome.
    pub level: CheckLevel,
    /// The details.
    pub text: String,
}

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckLevel {
    /// No problem.
    Ok,
    /// A run is possible, but read the text first.
    Warning,
    /// A run would be refused, or fail.
    Error,
}

/// A migration that was imported from an earlier tool.
#[derive(Debug, Clone, Serialize)]
pub struct ImportedMigration {
    /// The migration.
    pub id: String,
    /// The time when the earlier tool applied it.
    #[serde(serialize_with = "crate::serialize::instant")]
    pub applied_at: DateTime,
    /// Conditions that do not hold.
    pub warnings: Vec<String>,
}

/// The plan of a `down` for one migration.
#[derive(Debug, Clone, Serialize)]
pub struct DownPlan {
    /// The migration.
    pub id: String,
    /// Its summary.
    pub summary: String,
    /// The data that would be lost, one sentence each; if there is any, confirmation is required.
    pub losses: Vec<String>,
    /// `true` if the losses are certain. Those of the second and later migrations are as of now; the rollbacks before them
    /// may reduce them.
    pub certain: bool,
    /// `true` if it was named; otherwise it depends on one that was.
    #[serde(rename = "asked")]
    pub requested: bool,
    /// The way it is rolled back.
    pub undo: Undo,
    /// The origin of its entry.
    pub source: Source,
}

/// The plan of an `up`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct UpPlan {
    /// The actions, in order.
    pub actions: Vec<PlannedAction>,
    /// Migrations that would be imported from an earlier tool first.
    pub imports: Vec<String>,
    /// The number of applied migrations.
    #[serde(rename = "already")]
    pub already_applied: usize,
    /// Applied migrations that this program does not know.
    pub unknown: Vec<String>,
    /// Migrations that do not run in the contexts at hand, neither applied nor pending.
    pub not_in_context: Vec<String>,
}

/// The plan of an `up` for one migration.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedAction {
    /// The migration.
    pub id: String,
    /// Its summary.
    pub summary: String,
    /// The action.
    pub kind: ActionKind,
    /// The mode of its writes.
    pub mode: Mode,
    /// The phase: expand or contract.
    pub phase: Phase,
    /// `true` if programs that do not know it must not run afterwards.
    pub breaks_older: bool,
    /// The collections that it writes to or depends on; empty if it does not declare them.
    pub touches: Vec<String>,
    /// The way it is rolled back.
    pub undo: Undo,
    /// `true` if it writes a journal.
    pub journal: bool,
    /// The reason for a backup before it; `None` if no backup is taken.
    pub backup: Option<&'static str>,
    /// The time limit of one attempt.
    #[serde(rename = "time_limit_ms", serialize_with = "crate::serialize::maybe_milliseconds")]
    pub time_limit: Option<Duration>,
    /// Applied migrations that come after it in the graph and do not depend on it; they touch nothing in common.
    pub comes_before: Vec<String>,
}

/// The action of an `up` on a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Applies it for the first time, or again after a rollback.
    Apply,
    /// Resumes an interrupted attempt where it stopped.
    Resume,
    /// Retries a failed attempt.
    Retry,
    /// Finishes its rollback.
    FinishUndo,
}

/// The result of rolling back one migration.
#[derive(Debug, Clone, Serialize)]
pub struct DownReport {
    /// The migration.
    pub id: String,
    /// The duration.
    #[serde(rename = "duration_ms", serialize_with = "crate::serialize::milliseconds")]
    pub duration: Duration,
    /// The counts of restored and deleted documents; `left` counts those kept because others changed them since.
    pub counts: Vec<StepCounts>,
    /// Warnings: documents that the run had created and the rollback kept.
    pub warnings: Vec<String>,
}

/// The state of every migration.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Status {
    /// Applied migrations, in the order of the graph.
    pub applied: Vec<StatusEntry>,
    /// Migrations that are not applied, in order, including those that are running or were interrupted; see
    /// [`StatusEntry::state`].
    pub pending: Vec<StatusEntry>,
    /// Migrations whose application or rollback failed.
    pub failed: Vec<StatusEntry>,
    /// Applied migrations that this program does not know.
    pub unknown: Vec<StatusEntry>,
    /// Migrations that do not run in the contexts at hand, neither applied nor pending.
    pub not_in_context: Vec<StatusEntry>,
}

/// One migration in a [`Status`].
#[derive(Debug, Clone, Serialize)]
pub struct StatusEntry {
    /// The migration.
    pub id: String,
    /// Its summary; empty if the program does not know it.
    pub summary: String,
    /// The time when it was applied.
    #[serde(serialize_with = "crate::serialize::maybe_instant")]
    pub applied_at: Option<DateTime>,
    /// The origin of its entry; `None` if it never ran.
    pub source: Option<Source>,
    /// Its state in the ledger; `None` if it never ran.
    pub state: Option<State>,
    /// `true` while the holder of the lease applies it or rolls it back. A running one that is not was interrupted.
    pub live: bool,
    /// `true` if an operator let the next run resume it, a start too.
    pub retry: bool,
    /// The error, if it failed.
    pub error: Option<String>,
    /// Warnings: documents left out, and conditions that do not hold.
    pub warnings: Vec<String>,
}

impl StatusEntry {
    pub(crate) fn new(id: &str, summary: &str, entry: Option<&LedgerEntry>, live_fence: Option<i64>) -> Self {
        let busy = |e: &&LedgerEntry| matches!(e.state, State::Running | State::RollingBack);
        Self {
            id: id.into(),
            summary: summary.into(),
            applied_at: entry.filter(|e| e.state == State::Applied).and_then(|e| e.applied_at),
            source: entry.map(|e| e.source),
            state: entry.map(|e| e.state),
            live: entry.filter(busy).is_some_and(|e| Some(e.fence) == live_fence),
            retry: entry.is_some_and(|e| e.retry),
            error: entry.and_then(|e| e.error.clone()),
            warnings: entry.map(|e| e.warnings.clone()).unwrap_or_default(),
        }
    }
}

/// The result of a `redo`.
#[derive(Debug, Clone, Serialize)]
pub struct RedoReport {
    /// The migrations that were rolled back, in order.
    #[serde(rename = "taken_back")]
    pub rolled_back: Vec<DownReport>,
    /// The migrations that were applied again.
    pub report: UpReport,
}

/// The result of a `stamp`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StampReport {
    /// The migration.
    pub id: String,
    /// Its previous state; `None` if it never ran.
    pub from: Option<State>,
    /// The state that was recorded.
    pub to: Stamp,
}

/// The result of a `repair`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepairReport {
    /// The migration.
    pub id: String,
    /// Its previous state.
    pub from: State,
    /// The decision.
    pub to: Repair,
}

/// The result of an `unlock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum UnlockOutcome {
    /// No one held the lease.
    Free,
    /// The lease of a dead runner was released.
    Released {
        /// The previous holder.
        holder: String,
        /// `true` if the lease had expired; otherwise its process no longer existed, or the release was forced.
        ran_out: bool,
    },
}

impl Preflight {
    /// Returns whether no check failed.
    pub fn passed(&self) -> bool {
        !self.checks.iter().any(|check| check.level == CheckLevel::Error)
    }

    /// Returns the exit code of the command: 0, or 8 if an `up` would be refused or fail.
    pub fn exit_code(&self) -> u8 {
        if self.passed() { 0 } else { 8 }
    }
}
