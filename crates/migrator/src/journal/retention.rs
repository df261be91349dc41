use bson::DateTime;

use super::{JOURNAL, of};
use crate::entry::Entries;
use crate::run::RunSession;
use crate::{Result, Settings, Source, State};

/// The migrations whose journals have been kept for as long as they are to be: applied that long ago, and not
/// forgotten yet.
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

/// Removes the journal of an applied migration. The ledger says so first: a migration whose journal is gone in part is
/// never taken back by it.
pub(crate) async fn forget(session: &RunSession<'_>, migration: &str) -> Result<()> {
    session.may_go_on().await?;
    session.forget_journal(migration).await?;
    session.db.collection(JOURNAL).delete_many(&of(migration)).await?;
    tracing::info!(migration, "removed the journal of a migration that was applied long ago");
    Ok(())
}

/// Removes the journal of a migration that is taken back otherwise.
pub(crate) async fn discard(session: &RunSession<'_>, migration: &str) -> Result<()> {
    session.may_go_on().await?;
    session.db.collection(JOURNAL).delete_many(&of(migration)).await?;
    Ok(())
}
