use super::lock::LEASE;
use super::{Backoff, Migrator, UpMode};
use crate::ledger::LOCK;
use crate::plan::{Request, is_unknown};
use crate::view::View;
use crate::{Error, Result, State, Status, StatusEntry};

impl Migrator {
    /// Where things stand. What an earlier tool applied is shown as applied, be it taken over or not. Writes nothing.
    pub async fn status(&self) -> Result<Status> {
        let view = self.view().await?;
        let holder = self.db.lease_holder(LOCK, LEASE).await?;
        let live = holder.filter(|holder| !holder.remaining.is_zero()).map(|holder| holder.fence);
        let mut status = Status::default();
        for migration in self.graph.migrations() {
            let meta = migration.meta();
            let entry = view.entries.get(meta.id);
            let told = StatusEntry::new(meta.id, meta.summary, entry, live);
            match entry {
                Some(e) if e.state == State::Applied => status.applied.push(told),
                Some(e) if e.state == State::Failed => status.failed.push(told),
                Some(e) if e.state == State::RollingBack && e.error.is_some() => status.failed.push(told),
                _ => status.pending.push(told),
            }
        }
        let shape = self.graph.shape();
        let unknown = view.entries.values().filter(|entry| is_unknown(shape, entry));
        status.unknown = unknown.map(|entry| StatusEntry::new(&entry.id, "", Some(entry), live)).collect();
        Ok(status)
    }

    /// Makes sure that nothing is pending. Writes nothing.
    ///
    /// # Errors
    /// [`Error::Pending`] naming what is; [`Error::NeedsRepair`] if one failed.
    pub async fn verify(&self) -> Result<()> {
        let view = self.view().await?;
        view.refuse_unknown()?;
        self.plan(&view, Request::Up(UpMode::Start))?;
        let pending = self.pending(&view);
        if pending.is_empty() { Ok(()) } else { Err(Error::Pending(pending)) }
    }

    /// Waits until another runner has applied everything. Writes nothing.
    ///
    /// # Errors
    /// As [`Migrator::verify`], when the time is up or one failed.
    pub async fn wait(&self) -> Result<()> {
        let mut backoff = Backoff::new(self.settings.wait);
        loop {
            match self.verify().await {
                Err(Error::Pending(pending)) => {
                    tracing::info!(pending = pending.join(", "), "waiting for migrations to be applied");
                    if !backoff.pause().await {
                        return Err(Error::Pending(pending));
                    }
                }
                outcome => return outcome,
            }
        }
    }

    pub(super) fn pending(&self, view: &View) -> Vec<String> {
        let applied = |id: &&str| view.entries.get(*id).is_some_and(|e| e.state == State::Applied);
        self.graph.ids().filter(|id| !applied(id)).map(str::to_owned).collect()
    }
}
