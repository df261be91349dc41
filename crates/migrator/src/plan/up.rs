use std::collections::BTreeSet;

use super::{Action, Refusal, Situation, UpGoal, breaking};
use crate::{State, UpMode};

pub(super) fn plan(s: Situation<'_>, mode: UpMode, goal: &UpGoal) -> Result<Vec<Action>, Refusal> {
    let breaking = breaking(s.shape, s.ledger);
    if !breaking.is_empty() {
        return Err(Refusal::TooOld(breaking));
    }
    let wanted: BTreeSet<usize> = match *goal {
        UpGoal::Among(ref these) => these.clone(),
        UpGoal::To(at) if !s.shape.is_in(at, s.contexts) => return Err(Refusal::NotInContext(at)),
        // A target that is named is one state, however many heads there are.
        UpGoal::To(at) => s.shape.ancestors(at),
        UpGoal::All | UpGoal::Steps(_) => {
            let heads = s.shape.heads();
            if heads.len() > 1 {
                return Err(Refusal::SeveralHeads(heads));
            }
            (0..s.shape.len()).filter(|&at| s.shape.is_in(at, s.contexts)).collect()
        }
    };
    let mut actions = unfinished_undos(s, mode)?;
    let most = if let UpGoal::Steps(n) = *goal { n } else { usize::MAX };
    let mut applied = 0;
    for at in wanted {
        if applied == most {
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

/// An undo that stopped midway is finished before anything else: what it left is neither applied nor not.
fn unfinished_undos(s: Situation<'_>, mode: UpMode) -> Result<Vec<Action>, Refusal> {
    let mut actions = Vec::new();
    for at in (0..s.shape.len()).rev() {
        match s.entry(at) {
            Some(entry) if entry.state == State::RollingBack => {
                if entry.error.is_some() && mode == UpMode::Start && !entry.retry {
                    return Err(Refusal::Failed(at));
                }
                actions.push(Action::Undo(at));
            }
            _ => {}
        }
    }
    Ok(actions)
}

fn may_apply(s: Situation<'_>, mode: UpMode, at: usize) -> Result<(), Refusal> {
    let Some(entry) = s.entry(at).filter(|entry| !entry.retry) else { return Ok(()) };
    let manual = s.shape.spec(at).manual;
    match entry.state {
        State::Failed if mode == UpMode::Start => Err(Refusal::Failed(at)),
        State::Interrupted if manual => Err(Refusal::Undecided(at)),
        // Without the lease it cannot be told from one that is being run.
        State::Running if manual && s.held => Err(Refusal::Undecided(at)),
        _ => Ok(()),
    }
}

/// Refuses one that comes before others that are applied, unless it is related to them, or all say what they touch and
/// that is apart, or it says that the order does not matter.
///
/// What a newer program applied is not looked at: its place is not known.
pub(crate) fn out_of_order(s: Situation<'_>, late: usize) -> Result<(), Refusal> {
    if s.shape.spec(late).out_of_order {
        return Ok(());
    }
    let mine = &s.shape.spec(late).touches;
    for applied in later_applied(s, late) {
        let theirs = &s.shape.spec(applied).touches;
        let shared: Vec<String> = mine.iter().filter(|name| theirs.contains(name)).cloned().collect();
        if mine.is_empty() || theirs.is_empty() || !shared.is_empty() {
            return Err(Refusal::OutOfOrder { late, applied, shared });
        }
    }
    Ok(())
}

/// Those that are applied, come after it, and do not depend on it.
pub(crate) fn later_applied(s: Situation<'_>, late: usize) -> impl Iterator<Item = usize> {
    let related = s.shape.descendants(late);
    (late + 1..s.shape.len()).filter(move |at| s.is_applied(*at) && !related.contains(at))
}
