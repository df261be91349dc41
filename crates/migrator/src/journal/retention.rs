use bson::DateTime;

use super::{JOURNAL, entries_of};
use crate::entry::Entries;
use crate::run::RunSession;
use crate::{Result, Settings, Source, State};

/// Returns the migrations that were applied longer ago than `journal_keep` and still have a journal.
pub(crate) fn forgettable(entries: &Entries, settings: &Settings, now: DateTime) -> Vec<String> {
    let Some(keep) = settings.journal_keep else { return Vec::new() };
    let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    let before = now.timestamp_millis().saturating_sub(keep);
    entries
        .values()
        .filter(|entry| entry.state == State::Applied && entry.source == Source::Native && entry.journalled)
        .filter(|entry| entry.applied_at.is_some_and(|at| at.timestamp_millis() < before))
        .map(|entry| entry.id.clone())
        .collect()
}

/// Removes the journal of an applied migration. The ledger is updated first, so that a journal that is only partly
/// removed is never used for a rollback.
pub(crate) async fn forget(session: &RunSession<'_>, migration: &str) -> Result<()> {
    session.check_limits().await?;
    session.forget_journal(migration).await?;
    session.db.collection(JOURNAL).delete_many(&entries_of(migration)).await?;
    tracing::info!(migration, "removed the journal of a migration, which is past journal_keep");
    Ok(())
}

/// Removes the journal of a migration that was rolled back by code.
pub(crate) async fn discard(session: &RunSession<'_>, migration: &str) -> Result<()> {
    session.check_limits().await?;
    session.db.collection(JOURNAL).delete_many(&entries_of(migration)).await?;
    Ok(())
}
