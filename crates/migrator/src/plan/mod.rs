/// Plans of rollbacks. Pure functions.
mod down;
#[cfg(test)]
mod tests;
/// Plans of applications. Pure functions.
mod up;

use std::collections::BTreeSet;

use crate::entry::{Entries, LedgerEntry};
use crate::graph::Dag;
use crate::{Source, State, UpMode};

/// The input of the planner.
#[derive(Clone, Copy)]
pub(crate) struct PlanInput<'a> {
    pub(crate) dag: &'a Dag,
    pub(crate) ledger: &'a Entries,
    /// The contexts to run.
    pub(crate) contexts: &'a [String],
    /// `true` if this process holds the lease; then a migration in state `Running` is not running any more.
    pub(crate) held: bool,
}

/// A request to apply migrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanRequest {
    pub(crate) mode: UpMode,
    pub(crate) goal: UpGoal,
}

/// The goal of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UpGoal {
    /// Everything.
    All,
    /// The migration at this position, and its dependencies.
    To(usize),
    /// This number of migrations.
    Steps(usize),
    /// The migrations at these positions.
    Among(BTreeSet<usize>),
}

/// The goal of a rollback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DownGoal {
    /// Everything that depends on the migration at this position.
    To(usize),
    /// The migration at this position, and everything that depends on it.
    One(usize),
    /// This number of migrations.
    Steps(usize),
    /// Everything that the run with this id applied, and everything that depends on that.
    Run(String),
    /// Everything.
    All,
}

/// An action on the migration at a position of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Apply it: for the first time, again after a rollback, or on top of what an earlier attempt left.
    Apply(usize),
    /// Roll it back, or finish its rollback.
    Undo(usize),
}

impl Action {
    pub(crate) fn at(self) -> usize {
        match self {
            Self::Apply(at) | Self::Undo(at) => at,
        }
    }

    /// Returns the position of the migration that it applies.
    pub(crate) fn applied(self) -> Option<usize> {
        match self {
            Self::Apply(at) => Some(at),
            Self::Undo(_) => None,
        }
    }
}

pub(crate) use down::{down_order, is_of_run};
pub(crate) use up::{later_applied, out_of_order, up_actions};

/// Returns whether an entry is present and this program does not know its migration.
pub(crate) fn is_unknown(dag: &Dag, entry: &LedgerEntry) -> bool {
    let present = match entry.source {
        Source::Native => entry.state != State::RolledBack,
        Source::Imported | Source::Stamped => entry.state == State::Applied,
    };
    present && !dag.contains(&entry.id)
}

/// Returns the ids of unknown migrations that declare that programs that do not know them must not run.
pub(crate) fn breaking(dag: &Dag, ledger: &Entries) -> Vec<String> {
    let breaks = |entry: &&LedgerEntry| entry.breaks_older && is_unknown(dag, entry);
    ledger.values().filter(breaks).map(|entry| entry.id.clone()).collect()
}

impl PlanInput<'_> {
    fn id(&self, at: usize) -> String {
        self.dag.id(at).to_owned()
    }

    fn entry(&self, at: usize) -> Option<&LedgerEntry> {
        self.ledger.get(self.dag.id(at))
    }

    fn state(&self, at: usize) -> Option<State> {
        self.entry(at).map(|entry| entry.state)
    }

    fn is_applied(&self, at: usize) -> bool {
        self.state(at) == Some(State::Applied)
    }
}
