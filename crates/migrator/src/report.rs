use std::time::Duration;

use bson::DateTime;

use crate::entry::Entry;
use crate::{Finding, Source, State, StepCounts};

/// What an `up` did.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// Applied now, in order.
    pub applied: Vec<Applied>,
    /// Taken over from an earlier tool now.
    pub imported: Vec<Imported>,
    /// Interrupted undos that were finished first.
    pub rolled_back: Vec<String>,
    /// What does not hold although it should, with the migration that says so. Also in the ledger, as warnings.
    pub findings: Vec<(String, Finding)>,
    /// How many were applied before.
    pub already: usize,
    /// Applied by a program that knows more migrations than this one.
    pub unknown: Vec<String>,
}

/// A migration that was applied.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Applied {
    /// Which.
    pub id: String,
    /// How long it took; the last attempt only.
    pub duration: Duration,
    /// What its steps did, earlier attempts included.
    pub counts: Vec<StepCounts>,
    /// What it left out, and what does not hold.
    pub warnings: Vec<String>,
}

/// A migration that was taken over from an earlier tool.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Imported {
    /// Which.
    pub id: String,
    /// When the earlier tool applied it.
    pub applied_at: DateTime,
    /// What does not hold.
    pub warnings: Vec<String>,
}

/// What a `down` would do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DownPlan {
    /// Which migration it takes back.
    pub id: String,
    /// What would be lost, a sentence each; with any, it has to be confirmed.
    pub losses: Vec<String>,
    /// Who applied it.
    pub source: Source,
}

/// What a `down` did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DownReport {
    /// Which migration was taken back.
    pub id: String,
    /// How long it took.
    pub duration: Duration,
    /// What was restored and deleted; `left` counts what others changed since and what was therefore kept.
    pub counts: Vec<StepCounts>,
    /// What was kept that the run had made.
    pub warnings: Vec<String>,
}

/// Where things stand.
#[derive(Debug, Clone, Default)]
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
}

/// One migration in a [`Status`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StatusEntry {
    /// Which.
    pub id: String,
    /// What it does; empty if it is not known.
    pub summary: String,
    /// When it was applied.
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
    pub(crate) fn new(id: &str, summary: &str, entry: Option<&Entry>, live_fence: Option<i64>) -> Self {
        let busy = |e: &&Entry| matches!(e.state, State::Running | State::RollingBack);
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
