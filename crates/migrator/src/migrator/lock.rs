use std::time::Instant;

use docstore::LeaseRequest;

use super::{Backoff, Migrator};
use crate::lease::Held;
use crate::ledger::LOCK;
use crate::{Error, Event, Result};

/// The name of the lease.
pub(super) const LEASE: &str = "migrations";

impl Migrator {
    /// Takes the lease, or waits for who has it. Before each further try `wanted` looks again, by reading only,
    /// whether the lease is wanted at all; `None` if not.
    pub(super) async fn lock<W: Wanted>(&self, wanted: &W) -> Result<Option<Held>> {
        let mut backoff = Backoff::new(self.settings.wait);
        loop {
            let request = LeaseRequest {
                collection: LOCK.into(),
                name: LEASE.into(),
                owner: self.runner.owner(),
                ttl: self.settings.lease_ttl,
            };
            let asked = Instant::now();
            let mut holder = match self.db.acquire_lease(request).await? {
                Ok(lease) => {
                    tracing::info!(fence = lease.fence(), "took the migration lock");
                    self.settings.observer.event(&Event::LockTaken { fence: lease.fence() });
                    return Ok(Some(Held::new(lease, asked)));
                }
                Err(holder) => holder,
            };
            // As long as it is held there is nothing to gain by writing.
            loop {
                tracing::info!(holder = holder.owner, "waiting for another runner's migration lock");
                self.settings.observer.event(&Event::LockWait { holder: &holder.owner });
                if !backoff.pause().await {
                    return Err(Error::Locked { holder: holder.owner, waited: self.settings.wait });
                }
                if !wanted.still(self).await? {
                    return Ok(None);
                }
                match self.db.lease_holder(LOCK, LEASE).await? {
                    Some(current) if !current.remaining.is_zero() => holder = current,
                    _ => break,
                }
            }
        }
    }
}

/// Whether there is a reason to take the lease.
pub(super) trait Wanted {
    fn still(&self, migrator: &Migrator) -> impl Future<Output = Result<bool>> + Send;
}
