/// Which are taken back.
mod down;
#[cfg(test)]
mod tests;
/// Which are applied.
mod up;

use std::collections::BTreeSet;

use crate::entry::{Entries, LedgerEntry};
use crate::graph::Dag;
use crate::{Source, State, UpMode};

/// What a plan is made from.
#[derive(Clone, Copy)]
pub(crate) struct PlanInput<'a> {
    pub(crate) dag: &'a Dag,
    pub(crate) ledger: &'a Entries,
    /// The contexts that are run.
    pub(crate) contexts: &'a [String],
    /// Whether the lease is ours, so that what is said to be running is not.
    pub(crate) held: bool,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PlanRequest {
    /// Apply what is pending.
    Up(UpMode, UpGoal),
    /// Take back.
    Down(DownGoal),
}

/// How far up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UpGoal {
    /// Everything.
    All,
    /// The one at this position, and what it depends on.
    To(usize),
    /// So many.
    Steps(usize),
    /// Those at these positions.
    Among(BTreeSet<usize>),
}

/// How far down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DownGoal {
    /// Whatever depends on the one at this position.
    To(usize),
    /// The one at this position, and whatever depends on it.
    One(usize),
    /// So many.
    Steps(usize),
    /// What the run of this id applied, and whatever depends on that.
    Run(String),
    /// Everything.
    All,
}

/// One thing to do to the migration at a position of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Apply it: for the first time, anew after its undo, or on top of what an earlier attempt left.
    Apply(usize),
    /// Take it back, or finish doing so.
    Undo(usize),
}

impl Action {
    pub(crate) fn at(self) -> usize {
        match self {
            Self::Apply(at) | Self::Undo(at) => at,
        }
    }
}

/// Why nothing is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PlanRefusal {
    /// It failed, in up or down, and nobody said to retry.
    Failed(usize),
    /// It was interrupted, and says that an operator has to decide.
    DecisionRequired(usize),
    /// Migrations that this program does not know depend on it.
    UnknownDependents(usize, Vec<String>),
    /// There are several states to arrive at.
    SeveralHeads(Vec<usize>),
    /// Migrations that this program does not know, and that say that it must not run.
    ProgramTooOld(Vec<String>),
    /// It is not run in the contexts at hand.
    NotInContext(usize),
    /// The first comes before the second, which is applied, and they are not known to be independent.
    OutOfOrder {
        late: usize,
        applied: usize,
        /// What both touch; empty if one of them does not say.
        shared: Vec<String>,
    },
}

/// What to do, in order.
pub(crate) fn plan(situation: PlanInput<'_>, request: &PlanRequest) -> Result<Vec<Action>, PlanRefusal> {
    match request {
        PlanRequest::Up(mode, goal) => up::plan(situation, *mode, goal),
        PlanRequest::Down(goal) => down::plan(situation, goal),
    }
}

pub(crate) use down::is_of_run;
pub(crate) use up::{later_applied, out_of_order};

/// Whether it is applied, and by a program that knows more than this one.
pub(crate) fn is_unknown(dag: &Dag, entry: &LedgerEntry) -> bool {
    let there = match entry.source {
        Source::Native => entry.state != State::RolledBack,
        Source::Imported | Source::Stamped => entry.state == State::Applied,
    };
    there && !dag.contains(&entry.id)
}

/// The ids of those that are there, are not known, and say that a program that does not know them must not run.
pub(crate) fn breaking(dag: &Dag, ledger: &Entries) -> Vec<String> {
    let breaks = |entry: &&LedgerEntry| entry.breaks_older && is_unknown(dag, entry);
    ledger.values().filter(breaks).map(|entry| entry.id.clone()).collect()
}

impl PlanInput<'_> {
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
