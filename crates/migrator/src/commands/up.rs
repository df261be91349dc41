use std::collections::BTreeSet;
use std::time::Instant;

use tracing::Instrument;

use super::import::import_applied;
use super::lock;
use super::mode_checks::require_modes;
use super::preview::{runnable, up_request, warn_of_unknown};
use super::rollback::roll_back;
use crate::backup::{self, BackupContext};
use crate::journal;
use crate::ledger::{Claim, Finish, LedgerSnapshot};
use crate::plan::{Action, PlanRequest, UpGoal, up_actions};
use crate::run::{Attempt, RunSession, execute};
use crate::{AppliedMigration, Error, Event, Migrator, Result, State, UpMode, UpReport, UpRequest};

/// Number of times that a plan is made again because the ledger changed under it.
const REPLANS: u32 = 10;

pub(crate) async fn require_up(m: &Migrator, request: &UpRequest) -> Result<()> {
    let snapshot = m.snapshot().await?;
    let actions = runnable(m, &snapshot, &up_request(m, request)?, false)?;
    let apply: Vec<usize> = actions.into_iter().filter_map(Action::applied).collect();
    if !apply.is_empty() {
        require_modes(m, m.db.facts().await?.transactions, &apply).await?;
    }
    for (name, foreign) in &snapshot.imports {
        if let Some(at) = m.dag().position(name).filter(|_| foreign.applied.is_some()) {
            m.check(at).await?;
        }
    }
    Ok(())
}

pub(crate) async fn up(m: &Migrator, request: &UpRequest) -> Result<UpReport> {
    let plan_request = up_request(m, request)?;
    let snapshot = m.snapshot().await?;
    warn_of_unknown(m, &snapshot);
    if let Some(report) = report_if_done(m, &snapshot, &plan_request, false)? {
        return Ok(report);
    }
    let needed = || async { Ok(report_if_done(m, &m.snapshot().await?, &plan_request, false)?.is_none()) };
    let Some(held) = lock::acquire_while(m, needed).await? else {
        return Ok(new_report(m, &m.snapshot().await?));
    };
    let work = async {
        let session = RunSession { strict: request.strict, ..m.session(&held).await? };
        // What was read before the lease was acquired may be outdated.
        let snapshot = m.snapshot().await?;
        if let Some(report) = report_if_done(m, &snapshot, &plan_request, true)? {
            return Ok(report);
        }
        let mut report = new_report(m, &snapshot);
        let apply = up_actions(m.plan_input(&snapshot, true), &plan_request)?;
        let apply: Vec<usize> = apply.into_iter().filter_map(Action::applied).collect();
        require_modes(m, session.transactions, &apply).await?;
        import_applied(m, &session, &snapshot, &mut report).await?;
        // The goal is fixed now: the number of migrations to apply counts once, not again after each of them.
        let snapshot = m.snapshot().await?;
        let goal = up_actions(m.plan_input(&snapshot, true), &plan_request)?;
        apply_all(m, &session, goal.into_iter().filter_map(Action::applied).collect(), &mut report).await?;
        Ok(report)
    };
    lock::under_lease(&held, work).await
}

/// Returns the report if there is nothing to do.
fn report_if_done(
    m: &Migrator,
    snapshot: &LedgerSnapshot,
    request: &PlanRequest,
    held: bool,
) -> Result<Option<UpReport>> {
    let done = runnable(m, snapshot, request, held)?.is_empty() && !snapshot.has_imports();
    Ok(done.then(|| new_report(m, snapshot)))
}

fn new_report(m: &Migrator, snapshot: &LedgerSnapshot) -> UpReport {
    UpReport {
        run_id: m.runner.run_id.clone(),
        already_applied: snapshot.applied(m.dag()),
        unknown: snapshot.unknown(m.dag()),
        ..UpReport::default()
    }
}

/// Applies these migrations in order, after finishing interrupted rollbacks, and then deletes expired journals.
pub(super) async fn apply_all(
    m: &Migrator,
    session: &RunSession<'_>,
    goal: BTreeSet<usize>,
    report: &mut UpReport,
) -> Result<()> {
    // Refusals that depend on who asked were made before: an operator decided by asking, a start was refused.
    let request = PlanRequest { mode: UpMode::Operator, goal: UpGoal::Among(goal) };
    let mut replans = 0;
    loop {
        let snapshot = m.snapshot().await?;
        let actions = up_actions(m.plan_input(&snapshot, true), &request)?;
        let Some(&action) = actions.first() else {
            for id in journal::forgettable(&snapshot.entries, &m.settings, session.now()) {
                journal::forget(session, &id).await?;
            }
            return Ok(());
        };
        let done = match action {
            Action::Undo(at) => {
                let done = roll_back(m, session, &snapshot, at, false).await?;
                report.rolled_back.extend(done.iter().map(|report| report.id.clone()));
                done.is_some()
            }
            Action::Apply(at) => {
                let span = tracing::info_span!("migration", id = m.id(at));
                apply(m, session, &snapshot, at, report).instrument(span).await?
            }
        };
        if !done {
            replans += 1;
            if replans > REPLANS {
                return Err(Error::LeaseLost);
            }
        }
    }
}

/// Applies one migration. Returns `false` if its entry changed since the plan was made.
async fn apply(
    m: &Migrator,
    session: &RunSession<'_>,
    snapshot: &LedgerSnapshot,
    at: usize,
    report: &mut UpReport,
) -> Result<bool> {
    let id = m.id(at);
    let migration = m.graph.get(at);
    let meta = migration.meta();
    session.guard.begin(None);
    let backup = ensure_backup(m, snapshot, at).await?;
    let claim = Claim {
        session,
        graph: &m.graph,
        position: at,
        expected: snapshot.entries.get(id),
        state: State::Running,
        confirmed: false,
        journal: meta.journal,
        backup: backup.as_deref(),
    };
    let Some(entry) = session.atomically(id, &claim).await? else { return Ok(false) };
    session.emit(&Event::Started { migration: id, attempt: entry.attempts });
    session.guard.begin(meta.time_limit.or(m.settings.time_limit));

    let began = Instant::now();
    let mut attempt = Attempt::new(meta, entry.counts, entry.progress, session.now());
    let outcome = execute(session, migration, &mut attempt, began).await;
    let finish = Finish::new(session, &attempt, State::Applied, began);
    let findings = match outcome {
        Ok(findings) => findings,
        Err(error) => return Err(finish.failed(error).await),
    };
    let duration = finish.duration;
    session.emit(&Event::Applied { migration: id, duration });
    report.findings.extend(findings.into_iter().map(|finding| (id.to_owned(), finding)));
    let Attempt { counts, warnings, .. } = attempt;
    report.applied.push(AppliedMigration { id: id.into(), duration, counts, warnings, backup });
    Ok(true)
}

/// Returns the id of the backup that a migration has, or takes one before anything is written; `None` if it needs none.
async fn ensure_backup(m: &Migrator, snapshot: &LedgerSnapshot, at: usize) -> Result<Option<String>> {
    let Some(settings) = &m.settings.backup else { return Ok(None) };
    let begun = |state| matches!(state, State::Running | State::Failed | State::Interrupted);
    let entry = snapshot.entries.get(m.id(at)).filter(|entry| begun(entry.state));
    if let Some(taken) = entry.and_then(|entry| entry.backup_id.clone()) {
        return Ok(Some(taken));
    }
    let applied = snapshot.entries.values().filter(|entry| entry.state == State::Applied);
    let run = BackupContext {
        run_id: &m.runner.run_id,
        app_version: &m.settings.app_version,
        now: (m.settings.clock)(),
        referenced: applied.filter_map(|entry| entry.backup_id.clone()).collect(),
    };
    let taken = backup::before_migration(&m.db, settings, m.graph.get(at), run).await?;
    Ok(taken.map(|manifest| manifest.id))
}
