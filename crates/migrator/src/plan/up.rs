use std::collections::BTreeSet;

use super::{Action, PlanInput, PlanRequest, UpGoal, breaking};
use crate::entry::LedgerEntry;
use crate::{Error, GraphError, Result, State, UpMode};

/// Returns the actions that fulfill a request, in order.
pub(crate) fn up_actions(
    s: PlanInput<'_>,
    &PlanRequest { mode, ref goal }: &PlanRequest,
) -> Result<Vec<Action>> {
    let breaking = breaking(s.dag, s.ledger);
    if !breaking.is_empty() {
        return Err(Error::ProgramTooOld(breaking));
    }
    let wanted: BTreeSet<usize> = match *goal {
        UpGoal::Among(ref these) => these.clone(),
        UpGoal::To(at) if !s.dag.is_in(at, s.contexts) => {
            let (needs, has) = (s.dag.spec(at).contexts.clone(), s.contexts.to_vec());
            return Err(Error::NotInContext { id: s.id(at), needs, has });
        }
        // A named target is one state, however many heads there are.
        UpGoal::To(at) => s.dag.ancestors(at),
        UpGoal::All | UpGoal::Steps(_) => {
            let heads = s.dag.heads();
            if heads.len() > 1 {
                return Err(GraphError::SeveralHeads(heads.into_iter().map(|at| s.id(at)).collect()).into());
            }
            (0..s.dag.len()).filter(|&at| s.dag.is_in(at, s.contexts)).collect()
        }
    };
    let mut actions = unfinished_undos(s, mode)?;
    let limit = if let UpGoal::Steps(n) = *goal { n } else { usize::MAX };
    let mut applied = 0;
    for at in wanted {
        if applied == limit {
            break;
        }
        if s.is_applied(at) {
            continue;
        }
        may_apply(s, mode, at)?;
        out_of_order(s, at)?;
        actions.push(Action::Apply(at));
        applied += 1;
    }
    Ok(actions)
}

/// Returns the interrupted rollbacks. They are finished first, because their migrations are neither applied nor not.
fn unfinished_undos(s: PlanInput<'_>, mode: UpMode) -> Result<Vec<Action>> {
    let mut actions = Vec::new();
    for at in (0..s.dag.len()).rev() {
        match s.entry(at) {
            Some(entry) if entry.state == State::RollingBack => {
                if entry.error.is_some() && mode == UpMode::Start && !entry.retry {
                    return Err(needs_repair(entry));
                }
                actions.push(Action::Undo(at));
            }
            _ => {}
        }
    }
    Ok(actions)
}

fn may_apply(s: PlanInput<'_>, mode: UpMode, at: usize) -> Result<()> {
    let Some(entry) = s.entry(at).filter(|entry| !entry.retry) else { return Ok(()) };
    let stopped = match entry.state {
        State::Failed if mode == UpMode::Start => return Err(needs_repair(entry)),
        State::Interrupted => true,
        // Without the lease it cannot be distinguished from one that is running.
        State::Running => s.held,
        _ => false,
    };
    if stopped && s.dag.spec(at).manual {
        return Err(Error::DecisionRequired { id: s.id(at), counts: entry.counts.clone() });
    }
    Ok(())
}

fn needs_repair(entry: &LedgerEntry) -> Error {
    let entry = entry.clone();
    Error::NeedsRepair {
        undo: entry.state == State::RollingBack,
        id: entry.id,
        step: entry.step,
        error: entry.error.unwrap_or_default(),
        at: entry.changed_at,
        counts: entry.counts,
    }
}

/// Refuses a migration that comes before applied ones, unless it is related to them, or all declare what they touch and
/// that is disjoint, or it declares that the order does not matter.
///
/// Unknown migrations are ignored, because their position is not known.
pub(crate) fn out_of_order(s: PlanInput<'_>, late: usize) -> Result<()> {
    if s.dag.spec(late).out_of_order {
        return Ok(());
    }
    let mine = &s.dag.spec(late).touches;
    for applied in later_applied(s, late) {
        let theirs = &s.dag.spec(applied).touches;
        let shared: Vec<String> = mine.iter().filter(|name| theirs.contains(name)).cloned().collect();
        if mine.is_empty() || theirs.is_empty() || !shared.is_empty() {
            return Err(Error::OutOfOrder { late: s.id(late), applied: s.id(applied), shared });
        }
    }
    Ok(())
}

/// Returns the applied migrations that come after it and do not depend on it.
pub(crate) fn later_applied(s: PlanInput<'_>, late: usize) -> impl Iterator<Item = usize> {
    let related = s.dag.descendants(late);
    (late + 1..s.dag.len()).filter(move |at| s.is_applied(*at) && !related.contains(at))
}
