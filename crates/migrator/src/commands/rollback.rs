use std::time::Instant;

use crate::journal::{self, UndoOne};
use crate::ledger::{Claim, Finish, LedgerSnapshot};
use crate::run::{Attempt, ImportedUndoPass, LiveSink, RunSession, UndoImported, Up};
use crate::{DownReport, Error, Event, Migrator, Result, Source, State, StepCounts, Undo};

/// Refuses what cannot be rolled back at all, before anything is.
pub(super) fn require_reversible(m: &Migrator, snapshot: &LedgerSnapshot, chosen: &[usize]) -> Result<()> {
    for &at in chosen {
        let entry = snapshot.entries.get(m.id(at));
        let why = match m.graph.get(at).undo() {
            Undo::Irreversible(why) => why,
            Undo::Journal if entry.is_some_and(|e| e.source == Source::Native && !e.journalled) => {
                "it has no journal: it writes none, or the journal was deleted after its retention period"
            }
            Undo::Journal | Undo::Code => continue,
        };
        return Err(Error::Irreversible { id: m.id(at).into(), why: why.into() });
    }
    Ok(())
}

/// Returns the data that rolling a migration back would lose at present, one sentence each.
pub(super) async fn losses(m: &Migrator, snapshot: &LedgerSnapshot, at: usize) -> Result<Vec<String>> {
    let id = m.id(at);
    let migration = m.graph.get(at);
    match (migration.undo(), source(snapshot, id)) {
        (Undo::Irreversible(why), _) => Err(Error::Irreversible { id: id.into(), why: why.into() }),
        // Only the code itself knows what it loses.
        (Undo::Code, _) => Ok(Vec::new()),
        (Undo::Journal, Source::Native) => journal::losses(&m.db, id).await,
        (Undo::Journal, Source::Imported | Source::Stamped) => {
            let mode = ImportedUndoPass::Count(&m.db);
            let mut counting =
                UndoImported { migration: id, settings: &m.settings, mode, losses: Vec::new() };
            migration.undo_imported(&mut counting).await?;
            Ok(counting.losses)
        }
    }
}

fn source(snapshot: &LedgerSnapshot, id: &str) -> Source {
    snapshot.entries.get(id).map_or(Source::Native, |entry| entry.source)
}

/// Refuses a rollback that would lose data. `done` are the rollbacks of this command so far.
pub(super) async fn refuse_losses(
    m: &Migrator,
    snapshot: &LedgerSnapshot,
    at: usize,
    done: &[DownReport],
) -> Result<()> {
    let losses = losses(m, snapshot, at).await?;
    if losses.is_empty() {
        return Ok(());
    }
    let rolled_back = done.iter().map(|report| report.id.clone()).collect();
    Err(Error::DataLoss { id: m.id(at).into(), losses, rolled_back })
}

/// Rolls these migrations back, in this order.
pub(super) async fn roll_back_all(
    m: &Migrator,
    session: &RunSession<'_>,
    chosen: &[usize],
    confirmed: bool,
) -> Result<Vec<DownReport>> {
    let mut done = Vec::new();
    for &at in chosen {
        let snapshot = m.snapshot().await?;
        if !confirmed {
            refuse_losses(m, &snapshot, at, &done).await?;
        }
        done.push(roll_back(m, session, &snapshot, at, confirmed).await?.ok_or(Error::LeaseLost)?);
    }
    Ok(done)
}

/// Rolls one migration back, or resumes its rollback. Returns `None` if its entry changed since the plan was made.
pub(super) async fn roll_back(
    m: &Migrator,
    session: &RunSession<'_>,
    snapshot: &LedgerSnapshot,
    at: usize,
    confirmed: bool,
) -> Result<Option<DownReport>> {
    let id = m.id(at);
    session.guard.begin(None);
    let expected = snapshot.entries.get(id);
    // A confirmation that was given when the rollback began still holds when it is resumed.
    let confirmed = confirmed || expected.is_some_and(|entry| entry.confirmed);
    let (graph, state) = (&m.graph, State::RollingBack);
    let claim =
        Claim { session, graph, position: at, expected, state, confirmed, journal: true, backup: None };
    let Some(entry) = session.atomically(id, &claim).await? else { return Ok(None) };
    session.emit(&Event::RollingBack { migration: id });

    let began = Instant::now();
    let mut done = Progress { counts: entry.counts, warnings: Vec::new() };
    let outcome = match (m.graph.get(at).undo(), entry.source) {
        (Undo::Code, _) => by_code(m, session, at, &mut done).await,
        (_, Source::Native) => by_journal(session, id, confirmed, &mut done).await,
        (_, Source::Imported | Source::Stamped) => by_imported_undo(m, session, at, &mut done).await,
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
        return Err(finish.failed(error).await);
    }
    session.record(id, &finish).await?;
    let duration = finish.duration;
    session.emit(&Event::RolledBack { migration: id });
    Ok(Some(DownReport { id: id.into(), duration, counts: done.counts, warnings: done.warnings }))
}

struct Progress {
    counts: Vec<StepCounts>,
    warnings: Vec<String>,
}

async fn by_journal(session: &RunSession<'_>, id: &str, confirmed: bool, done: &mut Progress) -> Result<()> {
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

async fn by_code(m: &Migrator, session: &RunSession<'_>, at: usize, done: &mut Progress) -> Result<()> {
    let migration = m.graph.get(at);
    let mut attempt = Attempt::rollback(migration.meta(), done.counts.clone(), session.now());
    let outcome = migration.down(&mut Up::live(LiveSink { session, whole: None }, &mut attempt)).await;
    (done.counts, done.warnings) = (attempt.counts, attempt.warnings);
    outcome?;
    journal::discard(session, migration.meta().id).await
}

async fn by_imported_undo(
    m: &Migrator,
    session: &RunSession<'_>,
    at: usize,
    done: &mut Progress,
) -> Result<()> {
    let mode = ImportedUndoPass::Execute { session, counts: done.counts.clone(), warnings: &[] };
    let mut undo = UndoImported { migration: m.id(at), settings: &m.settings, mode, losses: Vec::new() };
    let outcome = m.graph.get(at).undo_imported(&mut undo).await;
    if let ImportedUndoPass::Execute { counts, .. } = undo.mode {
        done.counts = counts;
    }
    outcome
}
