use std::time::Duration;

use bson::DateTime;
use serde::Serialize;

use crate::entry::LedgerEntry;
use crate::{Finding, Mode, Phase, Repair, Source, Stamp, State, StepCounts, Undo};

/// What an `up` did.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct UpReport {
    /// The id of the run, with which all of it can be taken back.
    pub run_id: String,
    /// Applied now, in order.
    pub applied: Vec<AppliedMigration>,
    /// Taken over from an earlier tool now.
    pub imported: Vec<ImportedMigration>,
    /// Interrupted undos that were finished first.
    pub rolled_back: Vec<String>,
    /// What does not hold although it should, with the migration that says so. Also in the ledger, as warnings.
    pub findings: Vec<(String, Finding)>,
    /// How many were applied before.
    #[serde(rename = "already")]
    pub already_applied: usize,
    /// Applied by a program that knows more migrations than this one.
    pub unknown: Vec<String>,
}

/// A migration that was applied.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct AppliedMigration {
    /// Which.
    pub id: String,
    /// How long it took; the last attempt only.
    #[serde(rename = "duration_ms", serialize_with = "crate::serialize::milliseconds")]
    pub duration: Duration,
    /// What its steps did, earlier attempts included.
    pub counts: Vec<StepCounts>,
    /// What it left out, and what does not hold.
    pub warnings: Vec<String>,
    /// The backup that was taken before it, by this attempt or an earlier one.
    pub backup: Option<String>,
}

/// What an `up` needs, and whether it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Preflight {
    /// Each thing that was looked at.
    pub checks: Vec<PreflightCheck>,
}

/// One thing that an `up` needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PreflightCheck {
    /// What was looked at.
    pub name: &'static str,
    /// How it is.
    pub level: CheckLevel,
    /// What was seen.
    pub text: String,
}

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckLevel {
    /// As it should be.
    Ok,
    /// A run is possible; think first.
    Warning,
    /// A run would be refused, or fail.
    Error,
}

/// A migration that was taken over from an earlier tool.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ImportedMigration {
    /// Which.
    pub id: String,
    /// When the earlier tool applied it.
    #[serde(serialize_with = "crate::serialize::instant")]
    pub applied_at: DateTime,
    /// What does not hold.
    pub warnings: Vec<String>,
}

/// What a `down` would do.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DownPlan {
    /// Which migration it takes back.
    pub id: String,
    /// What it does.
    pub summary: String,
    /// What would be lost, a sentence each; with any, it has to be confirmed.
    pub losses: Vec<String>,
    /// Whether the losses are certain. Those of any but the first are as of now: what is taken back before may make
    /// them less.
    pub certain: bool,
    /// Whether it was asked for; if not, it depends on what was.
    #[serde(rename = "asked")]
    pub requested: bool,
    /// How it is taken back.
    pub undo: Undo,
    /// Who applied it.
    pub source: Source,
}

/// What an `up` would do.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct UpPlan {
    /// What it would do, in order.
    pub actions: Vec<PlannedAction>,
    /// What it would take over from an earlier tool first.
    pub imports: Vec<String>,
    /// How many are applied.
    #[serde(rename = "already")]
    pub already_applied: usize,
    /// Applied by a program that knows more migrations than this one.
    pub unknown: Vec<String>,
    /// Neither applied nor pending: they are not run in the contexts at hand.
    pub not_in_context: Vec<String>,
}

/// What an `up` would do to one migration.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PlannedAction {
    /// Which.
    pub id: String,
    /// What it does.
    pub summary: String,
    /// What is done to it.
    pub kind: ActionKind,
    /// How its writes are made.
    pub mode: Mode,
    /// Whether it adds or takes away.
    pub phase: Phase,
    /// Whether programs that do not know it must not run afterwards.
    pub breaks_older: bool,
    /// The collections that it writes to, and those whose content decides what it writes; empty if it does not say.
    pub touches: Vec<String>,
    /// How it is taken back.
    pub undo: Undo,
    /// Whether what it changes is written down.
    pub journal: bool,
    /// Why a backup is taken before it; none is if it is not said.
    pub backup: Option<&'static str>,
    /// For how long one attempt may run.
    #[serde(rename = "time_limit_ms", serialize_with = "crate::serialize::maybe_milliseconds")]
    pub time_limit: Option<Duration>,
    /// Which of those that are applied come after it and do not depend on it; they touch nothing in common.
    pub comes_before: Vec<String>,
}

/// What an `up` does to a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Applies it for the first time, or anew after it was taken back.
    Apply,
    /// Goes on where an interrupted attempt stopped.
    Resume,
    /// Tries again what failed.
    Retry,
    /// Finishes taking it back.
    FinishUndo,
}

/// What a `down` did.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DownReport {
    /// Which migration was taken back.
    pub id: String,
    /// How long it took.
    #[serde(rename = "duration_ms", serialize_with = "crate::serialize::milliseconds")]
    pub duration: Duration,
    /// What was restored and deleted; `left` counts what others changed since and what was therefore kept.
    pub counts: Vec<StepCounts>,
    /// What was kept that the run had made.
    pub warnings: Vec<String>,
}

/// Where things stand.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Applied, in order of the graph.
    pub applied: Vec<StatusEntry>,
    /// Not applied, in order; also those that run at present or were interrupted, see [`StatusEntry::state`].
    pub pending: Vec<StatusEntry>,
    /// Failed, in up or down.
    pub failed: Vec<StatusEntry>,
    /// Applied, and not known to this program.
    pub unknown: Vec<StatusEntry>,
    /// Neither applied nor pending: they are not run in the contexts at hand.
    pub not_in_context: Vec<StatusEntry>,
}

/// One migration in a [`Status`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct StatusEntry {
    /// Which.
    pub id: String,
    /// What it does; empty if it is not known.
    pub summary: String,
    /// When it was applied.
    #[serde(serialize_with = "crate::serialize::maybe_instant")]
    pub applied_at: Option<DateTime>,
    /// Who applied it; `None` if it never ran.
    pub source: Option<Source>,
    /// What the ledger says; `None` if it never ran.
    pub state: Option<State>,
    /// Whether it is being run, up or down, by somebody who holds the lease. A running one that is not was interrupted.
    pub live: bool,
    /// Why it failed.
    pub error: Option<String>,
    /// What it left out, and what does not hold.
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
            error: entry.and_then(|e| e.error.clone()),
            warnings: entry.map(|e| e.warnings.clone()).unwrap_or_default(),
        }
    }
}

/// What a `redo` did.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RedoReport {
    /// Taken back, in order.
    #[serde(rename = "taken_back")]
    pub rolled_back: Vec<DownReport>,
    /// And applied anew.
    pub report: UpReport,
}

/// What a `stamp` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StampReport {
    /// Which migration.
    pub id: String,
    /// What the ledger said before; `None` if it never ran.
    pub from: Option<State>,
    /// What it was told.
    pub to: Stamp,
}

/// What a `repair` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RepairReport {
    /// Which migration.
    pub id: String,
    /// What the ledger said before.
    pub from: State,
    /// What was decided.
    pub to: Repair,
}

/// What an `unlock` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
#[non_exhaustive]
pub enum UnlockOutcome {
    /// Nobody held the lease.
    Free,
    /// The lease of a runner that is gone was taken away.
    Released {
        /// Whose it was.
        holder: String,
        /// Whether it had run out by itself; else its process was known to be gone.
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
