use std::time::Instant;

use crate::journal::{self, UndoOne};
use crate::ledger::{Claim, Finish, LedgerSnapshot};
use crate::run::{Attempt, ImportedUndoPass, LiveSink, RunSession, UndoImported, Up};
use crate::{DownReport, Error, Event, Migrator, Result, Source, State, Undo};

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
        (Undo::Journal, Source::Native) => journal::losses(&m.db, id, migration.references()).await,
        (Undo::Journal, Source::Imported | Source::Stamped) => {
            let mut losses = Vec::new();
            let pass = ImportedUndoPass::Count(&m.db, &mut losses);
            let mut counting = UndoImported { migration: id, settings: &m.settings, pass };
            migration.undo_imported(&mut counting).await?;
            Ok(losses)
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
    let migration = m.graph.get(at);
    let mut attempt = Attempt::rollback(migration.meta(), entry.counts, session.now());
    let sink = LiveSink { session, whole: None };
    let outcome = match (migration.undo(), entry.source) {
        (Undo::Code, _) => match migration.down(&mut Up::live(sink, &mut attempt)).await {
            Ok(()) => journal::discard(session, id).await,
            failed => failed,
        },
        (_, Source::Native) => by_journal(session, id, confirmed, &mut attempt).await,
        (_, Source::Imported | Source::Stamped) => {
            let pass = ImportedUndoPass::Execute(sink, &mut attempt);
            migration.undo_imported(&mut UndoImported { migration: id, settings: &m.settings, pass }).await
        }
    };
    // The ledger names the step of an application only.
    attempt.step = None;
    let finish = Finish::new(session, &attempt, State::RolledBack, began);
    if let Err(error) = outcome {
        return Err(finish.failed(error).await);
    }
    session.record(id, &finish).await?;
    let duration = finish.duration;
    session.emit(&Event::RolledBack { migration: id });
    Ok(Some(DownReport { id: id.into(), duration, counts: attempt.counts, warnings: attempt.warnings }))
}

async fn by_journal(
    session: &RunSession<'_>,
    migration: &str,
    confirmed: bool,
    attempt: &mut Attempt,
) -> Result<()> {
    loop {
        let Attempt { counts, warnings, .. } = &*attempt;
        let undone = UndoOne { session, migration, confirmed, counts, warnings }.run().await?;
        if !undone.any {
            return Ok(());
        }
        (attempt.counts, attempt.warnings) = (undone.counts, undone.warnings);
    }
}
