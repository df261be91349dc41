use std::collections::BTreeSet;

use super::down::chosen;
use super::mode_checks::require_modes;
use super::preview::missing_variables;
use super::resolve::{position, require_applied};
use super::rollback::roll_back_all;
use super::up::apply_all;
use super::{import, lock};
use crate::ledger::LedgerSnapshot;
use crate::plan::{Action, DownGoal, PlanInput, out_of_order};
use crate::{Error, Migrator, RedoReport, Result, State, UpReport};

pub(crate) async fn redo(m: &Migrator, prefix: &str, confirmed: bool) -> Result<RedoReport> {
    let at = position(m, prefix)?;
    let snapshot = m.snapshot().await?;
    snapshot.refuse_unknown()?;
    require_redoable(m, &snapshot, at, confirmed)?;
    let held = lock::acquire(m).await?;
    let work = async {
        let mut report = UpReport { run_id: m.run_id().to_owned(), ..UpReport::default() };
        let (session, snapshot) = import::begin(m, &held, &mut report).await?;
        let chosen = require_redoable(m, &snapshot, at, confirmed)?;
        require_modes(m, session.transactions, &chosen).await?;
        let rolled_back = roll_back_all(m, &session, &chosen, confirmed).await?;
        apply_all(m, &session, chosen.into_iter().collect(), &mut report).await?;
        Ok(RedoReport { rolled_back, report })
    };
    lock::under_lease(&held, work).await
}

/// Returns what is rolled back, in order, if it can be applied again afterwards.
fn require_redoable(
    m: &Migrator,
    snapshot: &LedgerSnapshot,
    at: usize,
    confirmed: bool,
) -> Result<Vec<usize>> {
    require_applied(m, snapshot, at, "redo it")?;
    let chosen = chosen(m, snapshot, &DownGoal::One(at))?;
    let beyond: Vec<usize> = chosen.iter().copied().filter(|&other| other != at).collect();
    if !beyond.is_empty() && !confirmed {
        return Err(Error::ConfirmationRequired { ids: m.ids(&chosen), beyond: m.ids(&beyond) });
    }
    let again: Vec<Action> = chosen.iter().map(|&at| Action::Apply(at)).collect();
    let missing = missing_variables(m, snapshot, &again);
    if !missing.is_empty() {
        return Err(Error::MissingEnv(missing));
    }
    let redone: BTreeSet<&str> = chosen.iter().map(|&at| m.id(at)).collect();
    let mut after = snapshot.entries.clone();
    for entry in after.values_mut().filter(|entry| redone.contains(entry.id.as_str())) {
        entry.state = State::RolledBack;
    }
    let input = PlanInput { ledger: &after, ..m.plan_input(snapshot, true) };
    for &at in &chosen {
        out_of_order(input, at)?;
    }
    Ok(chosen)
}
