use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tracing::Instrument;

use super::lock::Wanted;
use crate::Migrator;
use crate::backup::{self, BackupContext};
use crate::journal;
use crate::ledger::LedgerSnapshot;
use crate::ledger::{Claim, Finish};
use crate::migrator::AsyncWork;
use crate::plan::{Action, PlanRequest, UpGoal};
use crate::run::HeldLease;
use crate::run::RunSession;
use crate::run::{Attempt, UpOutcome, execute};
use crate::{AppliedMigration, Error, Event, Result, State, UpMode, UpReport, UpRequest};

/// How often a plan is made anew because the ledger changed under it.
const REPLANS: u32 = 10;

impl Migrator {
    /// Applies what is pending, as far as it is asked for, after taking over what an earlier tool applied. If another
    /// runner is at it, waits for it and then does what is left. With nothing to do it costs two reads at the most.
    ///
    /// # Errors
    /// [`Error::Failed`] if a migration fails now, [`Error::NeedsRepair`] if one failed earlier (`Start` only),
    /// [`Error::Interrupted`] if told to stop, [`Error::MissingEnv`] before anything is written, [`Error::Locked`] when the
    /// wait was in vain, [`Error::ProgramTooOld`], [`Error::OutOfOrder`], …
    pub async fn up(&self, request: impl Into<UpRequest>) -> Result<UpReport> {
        let UpRequest { mode, target, strict } = request.into();
        let request = self.up_request(&UpRequest { mode, target, strict })?;
        let view = self.view().await?;
        if let Some(report) = self.nothing_to_do(&view, &request, false)? {
            return Ok(report);
        }
        let Some(held) = self.lock(&Pending(&request)).await? else {
            let view = self.view().await?;
            return Ok(self.report(&view));
        };
        self.under(held, Work { request: &request, strict }).await
    }

    /// The report if there is nothing to do; an error if what there is cannot be done.
    pub(super) fn nothing_to_do(
        &self,
        view: &LedgerSnapshot,
        request: &PlanRequest,
        held: bool,
    ) -> Result<Option<UpReport>> {
        view.refuse_unknown()?;
        let actions = self.plan(view, request, held)?;
        let report = self.report(view);
        if !report.unknown.is_empty() {
            tracing::warn!(
                unknown = report.unknown.join(", "),
                "the database has migrations that this program does not know; it may be older than the database"
            );
        }
        if actions.is_empty() && !view.has_imports() {
            return Ok(Some(report));
        }
        let missing = self.missing(view, &actions);
        if missing.is_empty() { Ok(None) } else { Err(Error::MissingEnv(missing)) }
    }

    fn report(&self, view: &LedgerSnapshot) -> UpReport {
        let dag = self.graph.dag();
        UpReport {
            run_id: self.runner.run_id.clone(),
            already_applied: view.applied(dag),
            unknown: view.unknown(dag),
            ..UpReport::default()
        }
    }
}

/// Whether anything is pending.
struct Pending<'a>(&'a PlanRequest);

impl Wanted for Pending<'_> {
    async fn still(&self, migrator: &Migrator) -> Result<bool> {
        let view = migrator.view().await?;
        Ok(migrator.nothing_to_do(&view, self.0, false)?.is_none())
    }
}

struct Work<'a> {
    request: &'a PlanRequest,
    strict: bool,
}

impl AsyncWork<UpReport> for Work<'_> {
    async fn run(self, migrator: &Migrator, held: &HeldLease) -> Result<UpReport> {
        let session = RunSession { strict: self.strict, ..migrator.session(held).await? };
        // What was read before the lease was ours may be old.
        let mut view = migrator.view().await?;
        if let Some(report) = migrator.nothing_to_do(&view, self.request, true)? {
            return Ok(report);
        }
        let mut report = migrator.report(&view);
        migrator.modes_hold(session.transactions, &migrator.plan(&view, self.request, true)?).await?;
        migrator.take_over(&session, &view, &mut report).await?;
        view = migrator.view().await?;
        // What is meant is settled now: "so many" does not mean so many more after each.
        let actions = migrator.plan(&view, self.request, true)?;
        let applies = actions.iter().filter(|action| matches!(action, Action::Apply(_)));
        let goal = applies.map(|action| action.at()).collect();
        migrator.reach(&session, &goal, &mut report).await?;
        Ok(report)
    }
}

impl Migrator {
    /// Applies these, in order, after finishing undos that were interrupted.
    pub(super) async fn reach(
        &self,
        session: &RunSession<'_>,
        goal: &BTreeSet<usize>,
        report: &mut UpReport,
    ) -> Result<()> {
        // A person has decided by asking, and a start was refused before; what was not refused is done.
        let all = PlanRequest::Up(UpMode::Operator, UpGoal::Among(goal.clone()));
        let mut replans = 0;
        loop {
            let view = self.view().await?;
            let actions = self.plan(&view, &all, true)?;
            let Some(&action) = actions.first() else {
                for id in journal::forgettable(&view.entries, &self.settings, session.now()) {
                    journal::forget(session, &id).await?;
                }
                return Ok(());
            };
            let done = match action {
                Action::Undo(at) => self.finish_undo(session, &view, at, report).await?,
                Action::Apply(at) => {
                    let span = tracing::info_span!("migration", id = self.graph.dag().id(at));
                    self.apply(session, &view, at, report).instrument(span).await?
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

    /// The backup that a migration has, or gets now, before anything is written; `None` if it needs none.
    async fn backed_up(&self, view: &LedgerSnapshot, at: usize) -> Result<Option<String>> {
        let Some(settings) = &self.settings.backup else { return Ok(None) };
        let entry = view.entries.get(self.graph.dag().id(at));
        let begun = |state| matches!(state, State::Running | State::Failed | State::Interrupted);
        if let Some(taken) = entry.filter(|e| begun(e.state)).and_then(|e| e.backup_id.clone()) {
            return Ok(Some(taken));
        }
        let applied = view.entries.values().filter(|entry| entry.state == State::Applied);
        let run = BackupContext {
            run_id: &self.runner.run_id,
            app_version: &self.settings.app_version,
            now: (self.settings.clock)(),
            referenced: applied.filter_map(|entry| entry.backup_id.clone()).collect(),
        };
        let taken = backup::before_migration(&self.db, settings, self.graph.get(at), run).await?;
        Ok(taken.map(|manifest| manifest.id))
    }

    /// Applies one. `false` if its entry changed since the plan was made.
    async fn apply(
        &self,
        session: &RunSession<'_>,
        view: &LedgerSnapshot,
        at: usize,
        report: &mut UpReport,
    ) -> Result<bool> {
        let id = self.graph.dag().id(at);
        let migration = self.graph.get(at);
        let meta = migration.meta();
        session.guard.begin(None);
        let expected = view.entries.get(id);
        let backup = self.backed_up(view, at).await?;
        let claim = Claim {
            session,
            graph: &self.graph,
            position: at,
            expected,
            state: State::Running,
            confirmed: false,
            journal: meta.journal,
            backup: backup.as_deref(),
        };
        let Some(entry) = session.atomically(id, &claim).await? else { return Ok(false) };
        session.tell(&Event::Started { migration: id, attempt: entry.attempts });
        session.guard.begin(meta.time_limit.or(self.settings.time_limit));

        let began = Instant::now();
        let mut attempt = Attempt::new(meta, entry.counts, entry.progress, session.now());
        let outcome = execute(session, migration, &mut attempt, began).await;
        let duration = began.elapsed();
        match outcome {
            Ok(UpOutcome { findings, warnings }) => {
                session.tell(&Event::Applied { migration: id, duration });
                report.findings.extend(findings.into_iter().map(|finding| (id.to_owned(), finding)));
                report.applied.push(AppliedMigration {
                    id: id.into(),
                    duration,
                    counts: attempt.counts,
                    warnings,
                    backup,
                });
                Ok(true)
            }
            Err(error) => Err(Attempted { id, attempt: &attempt, duration }.ended(session, error).await),
        }
    }
}

/// An attempt that did not come to its end.
struct Attempted<'a> {
    id: &'a str,
    attempt: &'a Attempt,
    duration: Duration,
}

impl Attempted<'_> {
    fn finish<'a>(&'a self, session: &'a RunSession<'a>, state: State, event: &'a str) -> Finish<'a> {
        Finish {
            session,
            id: self.id,
            state,
            event,
            counts: &self.attempt.counts,
            warnings: &self.attempt.warnings,
            duration: self.duration,
            error: &[],
            step: self.attempt.step.as_deref(),
        }
    }

    /// Writes down how it ended, and says so.
    async fn ended(&self, session: &RunSession<'_>, error: Error) -> Error {
        let Self { id, attempt, .. } = *self;
        let chain = error.chain();
        let (finish, said) = match error {
            // Whoever holds the lease now writes the ledger.
            Error::LeaseLost => return Error::LeaseLost,
            Error::Interrupted { .. } => {
                let counts = attempt.counts.clone();
                let said = Error::Interrupted { id: Some(id.into()), undo: false, counts };
                (self.finish(session, State::Interrupted, "interrupted"), said)
            }
            source => {
                let finish = Finish { error: &chain, ..self.finish(session, State::Failed, "failed") };
                let (step, counts) = (attempt.step.clone(), attempt.counts.clone());
                (finish, Error::Failed { id: id.into(), step, counts, source: Box::new(source) })
            }
        };
        match session.record(id, &finish).await {
            Ok(()) => {
                session.tell(&match &said {
                    Error::Interrupted { .. } => Event::Interrupted { migration: id },
                    _ => Event::Failed { migration: id, error: &chain[0] },
                });
                said
            }
            // What it stumbled over may be what the next holder did.
            Err(Error::LeaseLost) => Error::LeaseLost,
            Err(error) => {
                tracing::error!(%error, "writing down how a migration ended did not work");
                session.tell(&Event::Failed { migration: id, error: &chain[0] });
                said
            }
        }
    }
}
