use std::time::{Duration, Instant};

use bson::doc;
use docstore::{LeaseHolder, LeaseRequest};

use crate::Migrator;
use crate::ledger::{LOCK, LOG, log_record};
use crate::migrator::Backoff;
use crate::run::HeldLease;
use crate::{Error, Event, Result};

/// The name of the lease.
pub(super) const LEASE: &str = "migrations";
/// How often the lease is asked for again when nobody knows whether the request arrived.
const TRIES: u32 = 5;

impl Migrator {
    /// Takes the lease, or waits for who has it. Before each further try `wanted` looks again, by reading only,
    /// whether the lease is wanted at all; `None` if not.
    pub(super) async fn lock<W: Wanted>(&self, wanted: &W) -> Result<Option<HeldLease>> {
        let began = Instant::now();
        let mut backoff = Backoff::new(self.settings.wait);
        let mut waited_for = None;
        loop {
            let mut holder = match self.acquire().await? {
                Ok(held) => {
                    self.settings.tell(&Event::LockTaken { fence: held.fence() });
                    if let Some(holder) = waited_for {
                        self.log_wait(&held, holder, began.elapsed()).await?;
                    }
                    return Ok(Some(held));
                }
                Err(holder) => holder,
            };
            // As long as it is held there is nothing to gain by writing.
            loop {
                self.settings.tell(&Event::LockWait { holder: &holder.owner });
                let paused = tokio::select! {
                    paused = backoff.pause() => paused,
                    () = self.settings.stop.requested() => {
                        return Err(Error::Interrupted { id: None, undo: false, counts: Vec::new() });
                    }
                };
                if !paused {
                    return Err(Error::Locked { holder: holder.owner, waited: self.settings.wait });
                }
                if !wanted.still(self).await? {
                    return Ok(None);
                }
                waited_for = Some(holder.owner.clone());
                match self.db.lease_holder(LOCK, LEASE).await? {
                    Some(current) if !current.remaining.is_zero() => holder = current,
                    _ => break,
                }
            }
        }
    }

    /// Asks for the lease. A request of which nobody knows whether it arrived is made again: if it did, the lease has
    /// our name on it, and whoever it names gets it.
    async fn acquire(&self) -> Result<Result<HeldLease, LeaseHolder>> {
        let request = LeaseRequest {
            collection: LOCK.into(),
            name: LEASE.into(),
            owner: self.runner.owner(),
            ttl: self.settings.lease_ttl,
        };
        let mut tries = 1;
        loop {
            let asked = Instant::now();
            match self.db.acquire_lease(request.clone()).await {
                Ok(Ok(lease)) => return Ok(Ok(HeldLease::new(lease, asked))),
                Ok(Err(holder)) => return Ok(Err(holder)),
                Err(error) if tries < TRIES && (error.is_transient() || is_unanswered(&error)) => {
                    tracing::warn!(%error, "whether the migration lock was taken is not known; asking again");
                    tokio::time::sleep(Duration::from_millis(50 << tries)).await;
                    tries += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Who waits only reads, so that it waited is written down when it has the lease.
    async fn log_wait(&self, held: &HeldLease, holder: String, waited: Duration) -> Result<()> {
        held.ensure().await?;
        let mut record = log_record(&self.runner, &self.settings, "lock_wait", held.fence());
        let waited = i64::try_from(waited.as_millis()).unwrap_or(i64::MAX);
        record.extend(doc! { "holder": holder, "duration_ms": waited });
        self.db.collection(LOG).insert_one(record).await?;
        Ok(())
    }
}

fn is_unanswered(error: &docstore::Error) -> bool {
    matches!(error, docstore::Error::Unavailable(_))
}

/// Whether there is a reason to take the lease.
pub(super) trait Wanted {
    fn still(&self, migrator: &Migrator) -> impl Future<Output = Result<bool>> + Send;
}

/// A person who asks wants the lease.
pub(super) struct Always;

impl Wanted for Always {
    async fn still(&self, _: &Migrator) -> Result<bool> {
        Ok(true)
    }
}
