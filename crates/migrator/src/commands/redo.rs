use std::collections::BTreeSet;

use super::lock::Always;
use crate::Migrator;
use crate::ledger::LedgerSnapshot;
use crate::migrator::AsyncWork;
use crate::plan::{Action, DownGoal, PlanInput, PlanRequest, out_of_order};
use crate::run::HeldLease;
use crate::{Error, RedoReport, Result, State, UpReport};

impl Migrator {
    /// Takes one back and applies it anew, with whatever is applied that depends on it. All that could refuse the
    /// second half is looked at before the first.
    ///
    /// # Errors
    /// Those of [`Migrator::down`] and [`Migrator::up`]; [`Error::WrongState`] if it is not applied.
    pub async fn redo(&self, prefix: &str, yes: bool) -> Result<RedoReport> {
        let at = self.place(prefix)?;
        let view = self.view().await?;
        view.refuse_unknown()?;
        self.redoable(&view, at, yes)?;
        let Some(held) = self.lock(&Always).await? else { return Err(Error::LeaseLost) };
        self.under(held, Redo { at, yes }).await
    }

    /// What is taken back, in order, if it can be applied anew afterwards.
    fn redoable(&self, view: &LedgerSnapshot, at: usize, yes: bool) -> Result<Vec<usize>> {
        let dag = self.graph.dag();
        self.applied(view, at, "redone")?;
        let goal = PlanRequest::Down(DownGoal::One(at));
        let chosen: Vec<usize> = self.plan(view, &goal, true)?.into_iter().map(Action::at).collect();
        self.reversible(view, &chosen)?;
        let names = |list: &[usize]| list.iter().map(|&at| dag.id(at).to_owned()).collect::<Vec<_>>();
        let beyond: Vec<usize> = chosen.iter().copied().filter(|&other| other != at).collect();
        if !beyond.is_empty() && !yes {
            return Err(Error::ConfirmationRequired { ids: names(&chosen), beyond: names(&beyond) });
        }
        let again: Vec<Action> = chosen.iter().rev().map(|&at| Action::Apply(at)).collect();
        let missing = self.missing(view, &again);
        if !missing.is_empty() {
            return Err(Error::MissingEnv(missing));
        }
        let mut without = view.entries.clone();
        for &at in &chosen {
            if let Some(entry) = without.get_mut(dag.id(at)) {
                entry.state = State::RolledBack;
            }
        }
        let then = PlanInput { ledger: &without, ..self.situation(view, true) };
        for &at in &chosen {
            out_of_order(then, at).map_err(|refusal| self.refused(view, refusal))?;
        }
        Ok(chosen)
    }
}

struct Redo {
    at: usize,
    yes: bool,
}

impl AsyncWork<RedoReport> for Redo {
    async fn run(self, migrator: &Migrator, held: &HeldLease) -> Result<RedoReport> {
        let session = migrator.session(held).await?;
        let mut report = UpReport { run_id: migrator.run_id().to_owned(), ..UpReport::default() };
        let mut view = migrator.view().await?;
        view.refuse_unknown()?;
        migrator.take_over(&session, &view, &mut report).await?;
        view = migrator.view().await?;
        let chosen = migrator.redoable(&view, self.at, self.yes)?;
        let again: Vec<Action> = chosen.iter().map(|&at| Action::Apply(at)).collect();
        migrator.modes_hold(session.transactions, &again).await?;
        let rolled_back = migrator.take_back(&session, &chosen, self.yes).await?;
        let goal: BTreeSet<usize> = chosen.into_iter().collect();
        migrator.reach(&session, &goal, &mut report).await?;
        Ok(RedoReport { rolled_back, report })
    }
}
