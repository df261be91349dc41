use super::history::dependents;
use super::lock::{Backoff, live_holder};
use crate::ledger::LedgerSnapshot;
use crate::plan::{PlanRequest, UpGoal, is_unknown, up_actions};
use crate::{Error, Migrator, Result, State, Status, StatusEntry, UpMode};

pub(crate) async fn status(m: &Migrator) -> Result<Status> {
    let snapshot = m.snapshot().await?;
    let live = live_holder(m).await?.map(|holder| holder.fence);
    let mut status = Status::default();
    let dag = m.dag();
    for (at, migration) in m.graph.migrations().enumerate() {
        let meta = migration.meta();
        let entry = snapshot.entries.get(meta.id);
        let list = match entry {
            Some(e) if e.state == State::Applied => &mut status.applied,
            Some(e) if e.state == State::Failed => &mut status.failed,
            Some(e) if e.state == State::RollingBack && e.error.is_some() => &mut status.failed,
            Some(e) if e.state == State::Interrupted => &mut status.pending,
            _ if !dag.is_in(at, &m.settings.contexts) => &mut status.not_in_context,
            _ => &mut status.pending,
        };
        list.push(StatusEntry::new(meta.id, meta.summary, entry, live));
    }
    let unknown = snapshot.entries.values().filter(|entry| is_unknown(dag, entry));
    status.unknown = unknown.map(|entry| StatusEntry::new(&entry.id, "", Some(entry), live)).collect();
    Ok(status)
}

pub(crate) async fn current(m: &Migrator) -> Result<Vec<StatusEntry>> {
    let snapshot = m.snapshot().await?;
    let live = live_holder(m).await?.map(|holder| holder.fence);
    let is_last = |id: &str| !dependents(m, &snapshot, id).iter().any(|other| snapshot.is_applied(other));
    let last = snapshot.entries.values().filter(|e| e.state == State::Applied && is_last(&e.id));
    Ok(last
        .map(|entry| {
            let summary = m.dag().position(&entry.id).map_or("", |at| m.graph.get(at).meta().summary);
            StatusEntry::new(&entry.id, summary, Some(entry), live)
        })
        .collect())
}

pub(crate) async fn verify(m: &Migrator) -> Result<()> {
    let snapshot = m.snapshot().await?;
    snapshot.refuse_unknown()?;
    let request = PlanRequest { mode: UpMode::Start, goal: UpGoal::All };
    up_actions(m.plan_input(&snapshot, false), &request)?;
    let pending = pending(m, &snapshot);
    if pending.is_empty() { Ok(()) } else { Err(Error::Pending(pending)) }
}

pub(crate) async fn wait(m: &Migrator) -> Result<()> {
    let mut backoff = Backoff::new(m.settings.wait);
    loop {
        match verify(m).await {
            Err(Error::Pending(pending)) => {
                tracing::info!(pending = pending.join(", "), "waiting for migrations to be applied");
                if !backoff.pause(&m.settings.stop).await? {
                    return Err(Error::Pending(pending));
                }
            }
            outcome => return outcome,
        }
    }
}

/// Returns the ids of the migrations that are not applied and run in the contexts at hand.
pub(super) fn pending(m: &Migrator, snapshot: &LedgerSnapshot) -> Vec<String> {
    let is_pending = |&at: &usize| m.dag().is_in(at, &m.settings.contexts) && !snapshot.is_applied(m.id(at));
    m.ids(&(0..m.dag().len()).filter(is_pending).collect::<Vec<_>>())
}
