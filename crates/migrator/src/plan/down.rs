use std::collections::BTreeSet;

use super::{DownGoal, PlanInput, is_unknown};
use crate::{Error, Result, Source, State};

/// Returns the migrations to roll back, in order.
pub(crate) fn down_order(s: PlanInput<'_>, goal: &DownGoal) -> Result<Vec<usize>> {
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
    for &at in &chosen {
        refuse_unknown_dependents(s, at)?;
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
fn last_first(s: PlanInput<'_>, mut left: BTreeSet<usize>, n: usize) -> Result<Vec<usize>> {
    let mut present: BTreeSet<usize> = (0..s.dag.len()).filter(|&at| is_present(s, at)).collect();
    let mut order = Vec::new();
    while order.len() < n && !left.is_empty() {
        let is_leaf = |at: &usize| !present.iter().any(|&other| s.dag.depends_on(other).contains(at));
        let mut leaves: Vec<usize> = left.iter().copied().filter(is_leaf).collect();
        leaves.sort_by_key(|&at| (rank(s, at), s.entry(at).and_then(|entry| entry.applied_at), at));
        let mut refusal = Ok(());
        let next = leaves.into_iter().rev().find(|&at| {
            let free = refuse_unknown_dependents(s, at);
            let is_free = free.is_ok();
            refusal = std::mem::replace(&mut refusal, Ok(())).and(free);
            is_free
        });
        let Some(at) = next else {
            refusal?;
            break;
        };
        left.remove(&at);
        present.remove(&at);
        order.push(at);
    }
    Ok(order)
}

fn rank(s: PlanInput<'_>, at: usize) -> u8 {
    match s.state(at) {
        Some(State::RollingBack) => 2,
        Some(State::Running | State::Failed | State::Interrupted) => 1,
        Some(State::Applied | State::RolledBack) | None => 0,
    }
}

/// Refuses to roll back a migration that unknown ones depend on.
fn refuse_unknown_dependents(s: PlanInput<'_>, at: usize) -> Result<()> {
    let id = s.id(at);
    let unknown =
        s.ledger.values().filter(|entry| is_unknown(s.dag, entry) && entry.depends_on.contains(&id));
    let dependents: Vec<String> = unknown.map(|entry| entry.id.clone()).collect();
    if dependents.is_empty() { Ok(()) } else { Err(Error::UnknownDependents { id, dependents }) }
}
