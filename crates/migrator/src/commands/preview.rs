use crate::Migrator;
use crate::ledger::LedgerSnapshot;
use crate::plan::{Action, later_applied};
use crate::{ActionKind, MissingEnv, PlannedAction, Result, State, UpPlan, UpRequest};

impl Migrator {
    /// What [`Migrator::up`] would do, in order. Writes nothing.
    ///
    /// # Errors
    /// Whatever an `up` would be refused with, but for variables that are missing: see [`Migrator::missing_env`].
    pub async fn plan_up(&self, request: impl Into<UpRequest>) -> Result<UpPlan> {
        let request = request.into();
        let view = self.view().await?;
        view.refuse_unknown()?;
        let actions = self.plan(&view, &self.up_request(&request)?, false)?;
        let dag = self.graph.dag();
        let outside = |at: &usize| !dag.is_in(*at, &self.settings.contexts);
        let never_ran = |at: &usize| !view.entries.contains_key(dag.id(*at));
        let not_in_context = (0..dag.len()).filter(outside).filter(never_ran);
        Ok(UpPlan {
            actions: actions.into_iter().map(|action| self.planned(&view, action)).collect(),
            imports: view
                .imports
                .iter()
                .filter(|(_, f)| f.applied.is_some())
                .map(|(n, _)| n.clone())
                .collect(),
            already_applied: view.applied(dag),
            unknown: view.unknown(dag),
            not_in_context: not_in_context.map(|at| dag.id(at).to_owned()).collect(),
        })
    }

    /// Variables that an `up` needs and that are not set. Writes nothing.
    pub async fn missing_env(&self, request: impl Into<UpRequest>) -> Result<Vec<MissingEnv>> {
        let request = request.into();
        let view = self.view().await?;
        let actions = self.plan(&view, &self.up_request(&request)?, false)?;
        Ok(self.missing(&view, &actions))
    }

    fn planned(&self, view: &LedgerSnapshot, action: Action) -> PlannedAction {
        let at = action.at();
        let dag = self.graph.dag();
        let migration = self.graph.get(at);
        let meta = migration.meta();
        let kind = match (action, view.entries.get(meta.id).map(|entry| entry.state)) {
            (Action::Undo(_), _) => ActionKind::FinishUndo,
            (Action::Apply(_), Some(State::Failed)) => ActionKind::Retry,
            (Action::Apply(_), Some(State::Running | State::Interrupted)) => ActionKind::Resume,
            (Action::Apply(_), _) => ActionKind::Apply,
        };
        let later = later_applied(self.situation(view, false), at);
        PlannedAction {
            id: meta.id.to_owned(),
            summary: meta.summary.to_owned(),
            kind,
            mode: meta.mode,
            phase: meta.phase,
            breaks_older: meta.is_breaking(),
            touches: dag.spec(at).touches.clone(),
            undo: migration.undo(),
            journal: meta.journal,
            backup: self
                .settings
                .backup
                .as_ref()
                .filter(|_| matches!(action, Action::Apply(_)))
                .and_then(|backup| crate::backup::backup_reason(backup.policy, migration)),
            time_limit: meta.time_limit.or(self.settings.time_limit),
            comes_before: later.map(|other| dag.id(other).to_owned()).collect(),
        }
    }

    /// Variables that are needed and not set: by what is applied, and by what is taken over, since that is checked.
    pub(super) fn missing(&self, view: &LedgerSnapshot, actions: &[Action]) -> Vec<MissingEnv> {
        let dag = self.graph.dag();
        let mut reading: Vec<usize> =
            view.imports.iter().filter_map(|(name, _)| dag.position(name)).collect();
        for action in actions {
            match *action {
                Action::Apply(at) if !reading.contains(&at) => reading.push(at),
                Action::Apply(_) | Action::Undo(_) => {}
            }
        }
        reading.sort_unstable();
        let mut missing = Vec::new();
        for at in reading {
            let meta = self.graph.get(at).meta();
            let unset = meta.requires_env.iter().filter(|name| self.settings.variable(name).is_none());
            missing
                .extend(unset.map(|name| MissingEnv { variable: (*name).into(), migration: meta.id.into() }));
        }
        missing
    }
}
