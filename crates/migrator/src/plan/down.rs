use std::collections::BTreeSet;

use super::{Action, DownGoal, PlanInput, PlanRefusal, is_unknown};
use crate::{Source, State};

pub(super) fn plan(s: PlanInput<'_>, goal: &DownGoal) -> Result<Vec<Action>, PlanRefusal> {
    let present: BTreeSet<usize> = (0..s.dag.len()).filter(|&at| is_present(s, at)).collect();
    let chosen: BTreeSet<usize> = match goal {
        DownGoal::Steps(n) => return last_first(s, present, *n),
        DownGoal::All => present,
        DownGoal::One(at) => s.dag.descendants(*at).intersection(&present).copied().collect(),
        DownGoal::To(at) => {
            s.dag.descendants(*at).intersection(&present).copied().filter(|other| other != at).collect()
        }
        DownGoal::Run(run) => {
            let own = present.iter().filter(|&&at| is_of_run(s, at, run));
            let with_dependants: BTreeSet<usize> = own.flat_map(|&at| s.dag.descendants(at)).collect();
            with_dependants.intersection(&present).copied().collect()
        }
    };
    if let Some((at, dependents)) =
        chosen.iter().find_map(|&at| Some((at, unknown_dependants(s, at))).filter(|(_, ids)| !ids.is_empty()))
    {
        return Err(PlanRefusal::UnknownDependents(at, dependents));
    }
    let n = chosen.len();
    last_first(s, chosen, n)
}

/// Returns whether a migration is applied, at least in part.
fn is_present(s: PlanInput<'_>, at: usize) -> bool {
    s.state(at).is_some_and(|state| state != State::RolledBack)
}

/// Returns whether this run applied it.
pub(crate) fn is_of_run(s: PlanInput<'_>, at: usize, run: &str) -> bool {
    s.entry(at)
        .is_some_and(|entry| entry.source == Source::Native && entry.applied_run.as_deref() == Some(run))
}

/// Returns the rollback of `n` of these migrations, last first. Among those that nothing present depends on, it prefers an
/// interrupted rollback, then a partial application, then the latest application. A migration that unknown ones depend on
/// is skipped as long as there is another.
fn last_first(s: PlanInput<'_>, mut left: BTreeSet<usize>, n: usize) -> Result<Vec<Action>, PlanRefusal> {
    let mut present: BTreeSet<usize> = (0..s.dag.len()).filter(|&at| is_present(s, at)).collect();
    let mut actions = Vec::new();
    while actions.len() < n && !left.is_empty() {
        let is_leaf = |at: &usize| !present.iter().any(|&other| s.dag.depends_on(other).contains(at));
        let mut leaves: Vec<usize> = left.iter().copied().filter(is_leaf).collect();
        leaves.sort_by_key(|&at| (rank(s, at), s.entry(at).and_then(|entry| entry.applied_at), at));
        let mut refusal = None;
        let next = leaves.into_iter().rev().find(|&at| {
            let dependents = unknown_dependants(s, at);
            let free = dependents.is_empty();
            if !free {
                refusal.get_or_insert(PlanRefusal::UnknownDependents(at, dependents));
            }
            free
        });
        match (next, refusal) {
            (Some(at), _) => {
                left.remove(&at);
                present.remove(&at);
                actions.push(Action::Undo(at));
            }
            (None, Some(refusal)) => return Err(refusal),
            (None, None) => break,
        }
    }
    Ok(actions)
}

fn rank(s: PlanInput<'_>, at: usize) -> u8 {
    match s.state(at) {
        Some(State::RollingBack) => 2,
        Some(State::Running | State::Failed | State::Interrupted) => 1,
        Some(State::Applied | State::RolledBack) | None => 0,
    }
}

fn unknown_dependants(s: PlanInput<'_>, at: usize) -> Vec<String> {
    let id = s.dag.id(at);
    let unknown = s.ledger.values().filter(|entry| is_unknown(s.dag, entry));
    unknown
        .filter(|entry| entry.depends_on.iter().any(|other| other == id))
        .map(|entry| entry.id.clone())
        .collect()
}
