use std::collections::BTreeSet;

use super::resolve::position;
use crate::backup::backup_reason;
use crate::dry_run::{DryRun, Preview};
use crate::ledger::LedgerSnapshot;
use crate::plan::{Action, PlanRequest, UpGoal, later_applied, up_actions};
use crate::{
    ActionKind, Error, Migrator, MissingEnv, PlannedAction, Result, State, UpPlan, UpRequest, UpTarget,
};

pub(crate) async fn plan_up(m: &Migrator, request: &UpRequest) -> Result<UpPlan> {
    let snapshot = m.snapshot().await?;
    snapshot.refuse_unknown()?;
    let actions = up_actions(m.plan_input(&snapshot, false), &up_request(m, request)?)?;
    let dag = m.dag();
    let excluded =
        |at: &usize| !dag.is_in(*at, &m.settings.contexts) && !snapshot.entries.contains_key(dag.id(*at));
    let imports = snapshot.imports.iter().filter(|(_, foreign)| foreign.applied.is_some());
    Ok(UpPlan {
        actions: actions.into_iter().map(|action| planned(m, &snapshot, action)).collect(),
        imports: imports.map(|(name, _)| name.clone()).collect(),
        already_applied: snapshot.applied(dag),
        unknown: snapshot.unknown(dag),
        not_in_context: m.ids(&(0..dag.len()).filter(excluded).collect::<Vec<_>>()),
    })
}

pub(crate) async fn missing_env(m: &Migrator, request: &UpRequest) -> Result<Vec<MissingEnv>> {
    let snapshot = m.snapshot().await?;
    let actions = up_actions(m.plan_input(&snapshot, false), &up_request(m, request)?)?;
    Ok(missing_variables(m, &snapshot, &actions))
}

/// `may_try` allows running the steps in a transaction that is aborted.
pub(crate) async fn preview(m: &Migrator, request: &UpRequest, may_try: bool) -> Result<Preview> {
    let request = up_request(m, request)?;
    let snapshot = m.snapshot().await?;
    warn_of_unknown(m, &snapshot);
    let actions = runnable(m, &snapshot, &request, false)?;
    let (mut apply, mut undo_first) = (Vec::new(), Vec::new());
    for action in actions {
        match action {
            Action::Apply(at) => apply.push(at),
            Action::Undo(at) => undo_first.push(at),
        }
    }
    Ok(Preview { undo_first: m.ids(&undo_first), ..data_preview(m, &apply, may_try).await? })
}

pub(super) async fn data_preview(m: &Migrator, apply: &[usize], may_try: bool) -> Result<Preview> {
    DryRun { db: &m.db, graph: &m.graph, settings: &m.settings, apply, may_try }.run().await
}

pub(super) fn up_request(m: &Migrator, request: &UpRequest) -> Result<PlanRequest> {
    let goal = match &request.target {
        UpTarget::All => UpGoal::All,
        UpTarget::To(id) => UpGoal::To(position(m, id)?),
        UpTarget::Steps(n) => UpGoal::Steps(*n),
    };
    Ok(PlanRequest { mode: request.mode, goal })
}

/// Returns the actions of an `up`, if nothing refuses it: an unknown import, the plan, a missing variable.
pub(super) fn runnable(
    m: &Migrator,
    snapshot: &LedgerSnapshot,
    request: &PlanRequest,
    held: bool,
) -> Result<Vec<Action>> {
    snapshot.refuse_unknown()?;
    let actions = up_actions(m.plan_input(snapshot, held), request)?;
    let missing = missing_variables(m, snapshot, &actions);
    if missing.is_empty() || (actions.is_empty() && !snapshot.has_imports()) {
        return Ok(actions);
    }
    Err(Error::MissingEnv(missing))
}

/// Logs the migrations of the database that this program does not know.
pub(super) fn warn_of_unknown(m: &Migrator, snapshot: &LedgerSnapshot) {
    let unknown = snapshot.unknown(m.dag());
    if !unknown.is_empty() {
        tracing::warn!(
            unknown = unknown.join(", "),
            "the database has migrations that this program does not know; it may be older than the database"
        );
    }
}

fn planned(m: &Migrator, snapshot: &LedgerSnapshot, action: Action) -> PlannedAction {
    let at = action.at();
    let migration = m.graph.get(at);
    let meta = migration.meta();
    let kind = match (action, snapshot.state(meta.id)) {
        (Action::Undo(_), _) => ActionKind::FinishUndo,
        (Action::Apply(_), Some(State::Failed)) => ActionKind::Retry,
        (Action::Apply(_), Some(State::Running | State::Interrupted)) => ActionKind::Resume,
        (Action::Apply(_), _) => ActionKind::Apply,
    };
    let backup = m.settings.backup.as_ref().filter(|_| kind != ActionKind::FinishUndo);
    let later: Vec<usize> = later_applied(m.plan_input(snapshot, false), at).collect();
    PlannedAction {
        id: meta.id.to_owned(),
        summary: meta.summary.to_owned(),
        kind,
        mode: meta.mode,
        phase: meta.phase,
        breaks_older: meta.is_breaking(),
        touches: m.dag().spec(at).touches.clone(),
        undo: migration.undo(),
        journal: meta.journal,
        backup: backup.and_then(|settings| backup_reason(settings.policy, migration)),
        time_limit: meta.time_limit.or(m.settings.time_limit),
        comes_before: m.ids(&later),
    }
}

/// Returns the variables that are needed and not set: by what would be applied, and by what would be imported, since
/// the conditions of imported migrations are checked.
pub(super) fn missing_variables(
    m: &Migrator,
    snapshot: &LedgerSnapshot,
    actions: &[Action],
) -> Vec<MissingEnv> {
    let imported = snapshot.imports.iter().filter_map(|(name, _)| m.dag().position(name));
    let applied = actions.iter().copied().filter_map(Action::applied);
    let reading: BTreeSet<usize> = imported.chain(applied).collect();
    let mut missing = Vec::new();
    for meta in reading.into_iter().map(|at| m.graph.get(at).meta()) {
        let unset = meta.requires_env.iter().filter(|name| m.settings.variable(name).is_none());
        missing.extend(unset.map(|name| MissingEnv { variable: (*name).into(), migration: meta.id.into() }));
    }
    missing
}
