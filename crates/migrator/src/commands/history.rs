use docstore::Filter;

use super::lock::live_holder;
use super::resolve::{resolve_in, unique_run};
use crate::ledger::{LedgerSnapshot, log};
use crate::plan::is_unknown;
use crate::{HistoryRequest, LogRecord, MigrationDetails, Migrator, Result};

pub(crate) async fn history(m: &Migrator, request: &HistoryRequest) -> Result<Vec<LogRecord>> {
    let mut filters = Vec::new();
    if let Some(prefix) = &request.migration {
        filters.push(Filter::eq("migration", resolve_in(m, &m.snapshot().await?, prefix)?));
    }
    if let Some(prefix) = &request.run {
        filters.push(Filter::eq("run_id", unique_run(prefix, log::runs(&m.db, prefix).await?)?));
    }
    filters.extend(request.since.map(|since| Filter::gte("at", since)));
    if !request.progress {
        filters.push(Filter::ne("event", "progress"));
    }
    log::read(&m.db, Filter::and(filters), request.limit).await
}

pub(crate) async fn show(m: &Migrator, prefix: &str) -> Result<MigrationDetails> {
    let snapshot = m.snapshot().await?;
    let id = resolve_in(m, &snapshot, prefix)?;
    let live = live_holder(m).await?.map(|holder| holder.fence);
    let own = Filter::eq("migration", id.clone()).also(Filter::ne("event", "progress"));
    let log = log::read(&m.db, own, None).await?;
    let mut details = MigrationDetails::new(&id, snapshot.entries.get(&id), live, log);
    if let Some(at) = m.dag().position(&id) {
        details.declared(m.graph.get(at), m.dag().is_in(at, &m.settings.contexts));
    }
    details.dependents = dependents(m, &snapshot, &id);
    Ok(details)
}

/// Returns the migrations that depend on it directly: known ones, and unknown ones that are applied.
pub(super) fn dependents(m: &Migrator, snapshot: &LedgerSnapshot, id: &str) -> Vec<String> {
    let dag = m.dag();
    let known = (0..dag.len())
        .filter(|&at| dag.depends_on(at).iter().any(|&parent| dag.id(parent) == id))
        .map(|at| dag.id(at).to_owned());
    let unknown = snapshot
        .entries
        .values()
        .filter(|entry| is_unknown(dag, entry) && entry.depends_on.iter().any(|parent| parent == id));
    known.chain(unknown.map(|entry| entry.id.clone())).collect()
}
