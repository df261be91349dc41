use super::lock::LEASE;
use crate::Migrator;
use crate::ledger::LOCK;
use crate::ledger::LedgerSnapshot;
use crate::migrator::Backoff;
use crate::plan::{PlanRequest, UpGoal, is_unknown};
use crate::{Error, Result, State, Status, StatusEntry, UpMode};

impl Migrator {
    /// Where things stand. What an earlier tool applied is shown as applied, be it taken over or not. Writes nothing.
    pub async fn status(&self) -> Result<Status> {
        let view = self.view().await?;
        let live = self.live_fence().await?;
        let mut status = Status::default();
        let dag = self.graph.dag();
        for (at, migration) in self.graph.migrations().enumerate() {
            let meta = migration.meta();
            let entry = view.entries.get(meta.id);
            let told = StatusEntry::new(meta.id, meta.summary, entry, live);
            match entry {
                Some(e) if e.state == State::Applied => status.applied.push(told),
                Some(e) if e.state == State::Failed => status.failed.push(told),
                Some(e) if e.state == State::RollingBack && e.error.is_some() => status.failed.push(told),
                Some(e) if e.state == State::Interrupted => status.pending.push(told),
                _ if !dag.is_in(at, &self.settings.contexts) => status.not_in_context.push(told),
                _ => status.pending.push(told),
            }
        }
        let unknown = view.entries.values().filter(|entry| is_unknown(dag, entry));
        status.unknown = unknown.map(|entry| StatusEntry::new(&entry.id, "", Some(entry), live)).collect();
        Ok(status)
    }

    /// The last applied: those that no applied one depends on. Writes nothing.
    pub async fn current(&self) -> Result<Vec<StatusEntry>> {
        let view = self.view().await?;
        let live = self.live_fence().await?;
        let applied: Vec<_> = view.entries.values().filter(|entry| entry.state == State::Applied).collect();
        let dag = self.graph.dag();
        let depends = |other: &str, id: &str| match dag.position(other) {
            Some(at) => dag.depends_on(at).iter().any(|&parent| dag.id(parent) == id),
            None => view.entries.get(other).is_some_and(|e| e.depends_on.iter().any(|parent| parent == id)),
        };
        let last = applied.iter().filter(|entry| !applied.iter().any(|other| depends(&other.id, &entry.id)));
        Ok(last
            .map(|entry| {
                let summary = dag.position(&entry.id).map_or("", |at| self.graph.get(at).meta().summary);
                StatusEntry::new(&entry.id, summary, Some(entry), live)
            })
            .collect())
    }

    /// The ids of those that come last in this program: see [`crate::Graph::heads`].
    pub fn heads(&self) -> Vec<String> {
        self.graph.heads().into_iter().map(str::to_owned).collect()
    }

    /// Makes sure that nothing is pending. Writes nothing.
    ///
    /// # Errors
    /// [`Error::Pending`] naming what is; [`Error::NeedsRepair`] if one failed; [`Error::ProgramTooOld`], …
    pub async fn verify(&self) -> Result<()> {
        let view = self.view().await?;
        view.refuse_unknown()?;
        self.plan(&view, &PlanRequest::Up(UpMode::Start, UpGoal::All), false)?;
        let pending = self.pending(&view);
        if pending.is_empty() { Ok(()) } else { Err(Error::Pending(pending)) }
    }

    /// Waits until another runner has applied everything. Writes nothing.
    ///
    /// # Errors
    /// As [`Migrator::verify`], when the time is up or one failed; [`Error::Interrupted`] if told to stop.
    pub async fn wait(&self) -> Result<()> {
        let mut backoff = Backoff::new(self.settings.wait);
        loop {
            match self.verify().await {
                Err(Error::Pending(pending)) => {
                    tracing::info!(pending = pending.join(", "), "waiting for migrations to be applied");
                    let paused = tokio::select! {
                        paused = backoff.pause() => paused,
                        () = self.settings.stop.requested() => {
                            return Err(Error::Interrupted { id: None, undo: false, counts: Vec::new() });
                        }
                    };
                    if !paused {
                        return Err(Error::Pending(pending));
                    }
                }
                outcome => return outcome,
            }
        }
    }

    pub(super) fn pending(&self, view: &LedgerSnapshot) -> Vec<String> {
        let dag = self.graph.dag();
        let applied = |id: &str| view.entries.get(id).is_some_and(|e| e.state == State::Applied);
        (0..dag.len())
            .filter(|&at| dag.is_in(at, &self.settings.contexts) && !applied(dag.id(at)))
            .map(|at| dag.id(at).to_owned())
            .collect()
    }

    /// The token of whoever holds the lease.
    pub(super) async fn live_fence(&self) -> Result<Option<i64>> {
        let holder = self.db.lease_holder(LOCK, LEASE).await?;
        Ok(holder.filter(|holder| !holder.remaining.is_zero()).map(|holder| holder.fence))
    }
}
