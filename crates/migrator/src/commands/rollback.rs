use std::time::Instant;

use crate::Migrator;
use crate::journal::{self, UndoOne};
use crate::ledger::LedgerSnapshot;
use crate::ledger::{Claim, Finish};
use crate::run::RunSession;
use crate::run::{Attempt, ImportedUndoPass, LiveSink, UndoImported, Up};
use crate::{DownReport, Error, Event, Result, Source, State, StepCounts, Undo, UpReport};

impl Migrator {
    /// Finishes an undo that was interrupted, before its migration is applied anew.
    pub(super) async fn finish_undo(
        &self,
        session: &RunSession<'_>,
        view: &LedgerSnapshot,
        at: usize,
        report: &mut UpReport,
    ) -> Result<bool> {
        let confirmed = view.entries.get(self.graph.dag().id(at)).is_some_and(|entry| entry.confirmed);
        let done = self.undo(session, view, at, confirmed).await?;
        report.rolled_back.extend(done.iter().map(|report| report.id.clone()));
        Ok(done.is_some())
    }

    /// Undoes one. `None` if its entry changed since the plan was made.
    pub(super) async fn undo(
        &self,
        session: &RunSession<'_>,
        view: &LedgerSnapshot,
        at: usize,
        confirmed: bool,
    ) -> Result<Option<DownReport>> {
        let id = self.graph.dag().id(at);
        session.guard.begin(None);
        let expected = view.entries.get(id);
        // What was accepted when the undo began stays accepted when it is resumed.
        let confirmed = confirmed || expected.is_some_and(|entry| entry.confirmed);
        let (graph, state) = (&self.graph, State::RollingBack);
        let claim =
            Claim { session, graph, position: at, expected, state, confirmed, journal: true, backup: None };
        let Some(entry) = session.atomically(id, &claim).await? else { return Ok(None) };
        session.tell(&Event::RollingBack { migration: id });

        let began = Instant::now();
        let mut done = Done { counts: entry.counts, warnings: Vec::new() };
        let outcome = match (self.graph.get(at).undo(), entry.source) {
            (Undo::Code, _) => self.undo_by_code(session, at, &mut done).await,
            (_, Source::Native) => undo_by_journal(session, id, confirmed, &mut done).await,
            (_, Source::Imported | Source::Stamped) => self.undo_imported(session, at, &mut done).await,
        };
        let finish = Finish {
            session,
            id,
            state: State::RolledBack,
            event: "rolled_back",
            counts: &done.counts,
            warnings: &done.warnings,
            duration: began.elapsed(),
            error: &[],
            step: None,
        };
        if let Err(error) = outcome {
            return Err(not_undone(session, finish, error).await);
        }
        session.record(id, &finish).await?;
        let duration = finish.duration;
        session.tell(&Event::RolledBack { migration: id });
        Ok(Some(DownReport { id: id.into(), duration, counts: done.counts, warnings: done.warnings }))
    }

    async fn undo_imported(&self, session: &RunSession<'_>, at: usize, done: &mut Done) -> Result<()> {
        let mode = ImportedUndoPass::Execute { session, counts: done.counts.clone(), warnings: &[] };
        let migration = self.graph.dag().id(at);
        let mut undo = UndoImported { migration, settings: &self.settings, mode, losses: Vec::new() };
        let outcome = self.graph.get(at).undo_imported(&mut undo).await;
        if let ImportedUndoPass::Execute { counts, .. } = undo.mode {
            done.counts = counts;
        }
        outcome
    }

    async fn undo_by_code(&self, session: &RunSession<'_>, at: usize, done: &mut Done) -> Result<()> {
        let migration = self.graph.get(at);
        let counts = done.counts.clone();
        let mut attempt = Attempt::undoing(migration.meta(), counts, session.now());
        let outcome = migration.down(&mut Up::real(LiveSink { session, whole: None }, &mut attempt)).await;
        (done.counts, done.warnings) = (attempt.counts, attempt.warnings);
        outcome?;
        journal::discard(session, migration.meta().id).await
    }
}

/// Writes down that an undo did not come to its end, and says so.
async fn not_undone(session: &RunSession<'_>, finish: Finish<'_>, error: Error) -> Error {
    let id = finish.id;
    let chain = error.chain();
    let (finish, said) = match error {
        Error::LeaseLost => return Error::LeaseLost,
        Error::Interrupted { .. } => {
            session.tell(&Event::Interrupted { migration: id });
            let counts = finish.counts.to_vec();
            let finish = Finish { state: State::RollingBack, event: "interrupted", ..finish };
            (finish, Error::Interrupted { id: Some(id.into()), undo: true, counts })
        }
        source => {
            session.tell(&Event::Failed { migration: id, error: &chain[0] });
            let finish = Finish { state: State::RollingBack, event: "undo_failed", error: &chain, ..finish };
            (finish, Error::UndoFailed { id: id.into(), source: Box::new(source) })
        }
    };
    match session.record(id, &finish).await {
        Ok(()) => said,
        // What it stumbled over may be what the next holder did.
        Err(Error::LeaseLost) => Error::LeaseLost,
        Err(error) => {
            tracing::error!(migration = id, %error, "writing down how an undo ended did not work");
            said
        }
    }
}

struct Done {
    counts: Vec<StepCounts>,
    warnings: Vec<String>,
}

async fn undo_by_journal(session: &RunSession<'_>, id: &str, confirmed: bool, done: &mut Done) -> Result<()> {
    loop {
        let one =
            UndoOne { session, migration: id, confirmed, counts: &done.counts, warnings: &done.warnings };
        let undone = one.run().await?;
        if !undone.any {
            return Ok(());
        }
        (done.counts, done.warnings) = (undone.counts, undone.warnings);
    }
}
