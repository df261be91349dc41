use std::collections::BTreeSet;

use super::{Action, PlanInput, PlanRefusal, UpGoal, breaking};
use crate::{State, UpMode};

pub(super) fn plan(s: PlanInput<'_>, mode: UpMode, goal: &UpGoal) -> Result<Vec<Action>, PlanRefusal> {
    let breaking = breaking(s.dag, s.ledger);
    if !breaking.is_empty() {
        return Err(PlanRefusal::ProgramTooOld(breaking));
    }
    let wanted: BTreeSet<usize> = match *goal {
        UpGoal::Among(ref these) => these.clone(),
        UpGoal::To(at) if !s.dag.is_in(at, s.contexts) => return Err(PlanRefusal::NotInContext(at)),
        // A named target is one state, however many heads there are.
        UpGoal::To(at) => s.dag.ancestors(at),
        UpGoal::All | UpGoal::Steps(_) => {
            let heads = s.dag.heads();
            if heads.len() > 1 {
                return Err(PlanRefusal::SeveralHeads(heads));
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
fn unfinished_undos(s: PlanInput<'_>, mode: UpMode) -> Result<Vec<Action>, PlanRefusal> {
    let mut actions = Vec::new();
    for at in (0..s.dag.len()).rev() {
        match s.entry(at) {
            Some(entry) if entry.state == State::RollingBack => {
                if entry.error.is_some() && mode == UpMode::Start && !entry.retry {
                    return Err(PlanRefusal::Failed(at));
                }
                actions.push(Action::Undo(at));
            }
            _ => {}
        }
    }
    Ok(actions)
}

fn may_apply(s: PlanInput<'_>, mode: UpMode, at: usize) -> Result<(), PlanRefusal> {
    let Some(entry) = s.entry(at).filter(|entry| !entry.retry) else { return Ok(()) };
    let manual = s.dag.spec(at).manual;
    match entry.state {
        State::Failed if mode == UpMode::Start => Err(PlanRefusal::Failed(at)),
        State::Interrupted if manual => Err(PlanRefusal::DecisionRequired(at)),
        // Without the lease it cannot be distinguished from one that is running.
        State::Running if manual && s.held => Err(PlanRefusal::DecisionRequired(at)),
        _ => Ok(()),
    }
}

/// Refuses a migration that comes before applied ones, unless it is related to them, or all declare what they touch and
/// that is disjoint, or it declares that the order does not matter.
///
/// Unknown migrations are ignored, because their position is not known.
pub(crate) fn out_of_order(s: PlanInput<'_>, late: usize) -> Result<(), PlanRefusal> {
    if s.dag.spec(late).out_of_order {
        return Ok(());
    }
    let mine = &s.dag.spec(late).touches;
    for applied in later_applied(s, late) {
        let theirs = &s.dag.spec(applied).touches;
        let shared: Vec<String> = mine.iter().filter(|name| theirs.contains(name)).cloned().collect();
        if mine.is_empty() || theirs.is_empty() || !shared.is_empty() {
            return Err(PlanRefusal::OutOfOrder { late, applied, shared });
        }
    }
    Ok(())
}

/// Returns the applied migrations that come after it and do not depend on it.
pub(crate) fn later_applied(s: PlanInput<'_>, late: usize) -> impl Iterator<Item = usize> {
    let related = s.dag.descendants(late);
    (late + 1..s.dag.len()).filter(move |at| s.is_applied(*at) && !related.contains(at))
}
