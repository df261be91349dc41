use std::time::{Duration, Instant};

use bson::doc;
use docstore::{LeaseHolder, LeaseRequest};

use super::resolve::required_reason;
use crate::ledger::{LOCK, LOG, log_record};
use crate::run::HeldLease;
use crate::{CancellationToken, Error, Event, Migrator, Result, UnlockOutcome};

/// The name of the lease.
const LEASE: &str = "migrations";
/// Attempts to acquire the lease when a request got no answer.
const TRIES: u32 = 5;

/// Acquires the lease, waiting up to [`Settings::wait`](crate::Settings::wait) for its holder.
pub(super) async fn acquire(m: &Migrator) -> Result<HeldLease> {
    acquire_while(m, || async { Ok(true) }).await?.ok_or(Error::LeaseLost)
}

/// Acquires the lease, or returns `None` once `needed` says that it is no longer needed. While another runner holds the
/// lease this process only reads: `needed` and the holder are read before each further attempt.
pub(super) async fn acquire_while<F>(m: &Migrator, needed: impl Fn() -> F) -> Result<Option<HeldLease>>
where
    F: Future<Output = Result<bool>>,
{
    let began = Instant::now();
    let mut backoff = Backoff::new(m.settings.wait);
    let mut waited_for = None;
    loop {
        let mut holder = match try_acquire(m).await? {
            Ok(held) => {
                m.settings.emit(&Event::LockTaken { fence: held.fence() });
                if let Some(holder) = waited_for {
                    log_wait(m, &held, holder, began.elapsed()).await?;
                }
                return Ok(Some(held));
            }
            Err(holder) => holder,
        };
        loop {
            m.settings.emit(&Event::LockWait { holder: &holder.owner });
            if !backoff.pause(&m.settings.stop).await? {
                return Err(Error::Locked { holder: holder.owner, waited: m.settings.wait });
            }
            if !needed().await? {
                return Ok(None);
            }
            waited_for = Some(holder.owner);
            match live_holder(m).await? {
                Some(current) => holder = current,
                None => break,
            }
        }
    }
}

/// Requests the lease. A request without an answer is repeated: if the first one arrived, the lease has this run's name
/// on it and is granted again.
async fn try_acquire(m: &Migrator) -> Result<Result<HeldLease, LeaseHolder>> {
    let mut tries = 1;
    loop {
        let asked = Instant::now();
        match m.db.acquire_lease(lease_request(m, m.runner.owner())).await {
            Ok(Ok(lease)) => return Ok(Ok(HeldLease::new(lease, asked))),
            Ok(Err(holder)) => return Ok(Err(holder)),
            Err(error)
                if tries < TRIES
                    && (error.is_transient() || matches!(error, docstore::Error::Unavailable(_))) =>
            {
                tracing::warn!(%error, "no answer to the request for the migration lock; trying again");
                tokio::time::sleep(Duration::from_millis(50 << tries)).await;
                tries += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Records the wait in the log, which only the holder of the lease may write.
async fn log_wait(m: &Migrator, held: &HeldLease, holder: String, waited: Duration) -> Result<()> {
    held.ensure().await?;
    let mut record = log_record(&m.runner, &m.settings, "lock_wait", held.fence());
    let waited = i64::try_from(waited.as_millis()).unwrap_or(i64::MAX);
    record.extend(doc! { "holder": holder, "duration_ms": waited });
    m.db.collection(LOG).insert_one(record).await?;
    Ok(())
}

fn lease_request(m: &Migrator, owner: String) -> LeaseRequest {
    LeaseRequest { collection: LOCK.into(), name: LEASE.into(), owner, ttl: m.settings.lease_ttl }
}

/// Returns the last holder of the lease, whether or not its lease has expired.
async fn last_holder(m: &Migrator) -> Result<Option<LeaseHolder>> {
    Ok(m.db.lease_holder(LOCK, LEASE).await?)
}

/// Returns the holder of the lease.
pub(super) async fn live_holder(m: &Migrator) -> Result<Option<LeaseHolder>> {
    Ok(last_holder(m).await?.filter(|holder| !holder.remaining.is_zero()))
}

pub(crate) async fn unlock(m: &Migrator, reason: &str, force: bool) -> Result<UnlockOutcome> {
    let reason = required_reason(reason)?;
    let Some(holder) = last_holder(m).await? else { return Ok(UnlockOutcome::Free) };
    let ran_out = holder.remaining.is_zero();
    if !ran_out && !force && !m.runner.is_gone(&holder.owner) {
        return Err(Error::LockHeld { holder: holder.owner, remaining: holder.remaining });
    }
    // Names owner and fence, so that a runner that acquired the lease in the meantime keeps it.
    m.db.engine().release_lease(&lease_request(m, holder.owner.clone()), holder.fence).await?;
    let mut fence = holder.fence;
    if force {
        // The holder may be alive: a greater token makes the ledger refuse its writes. A runner that acquired the lease in
        // the meantime has one.
        if let Ok(held) = try_acquire(m).await? {
            fence = held.fence();
            held.release().await;
        }
    }
    let mut record = log_record(&m.runner, &m.settings, "unlocked", fence);
    record.extend(doc! { "holder": &holder.owner, "reason": reason });
    m.db.collection(LOG).insert_one(record).await?;
    tracing::warn!(holder = holder.owner, reason, "released the migration lock");
    Ok(UnlockOutcome::Released { holder: holder.owner, ran_out })
}

/// Runs `work` until it ends or the lease is lost, then releases the lease. If both happen, the error of `work` is
/// returned.
pub(super) fn under_lease<T>(
    held: &HeldLease,
    work: impl Future<Output = Result<T>>,
) -> impl Future<Output = Result<T>> {
    // Boxed, because the work is the largest part of every command's future.
    let work = Box::pin(work);
    async move {
        let outcome = tokio::select! {
            biased;
            outcome = work => outcome,
            () = held.lost() => Err(Error::LeaseLost),
        };
        held.release().await;
        outcome
    }
}

/// Pauses that double from 50 ms to 1 s, up to a total.
pub(super) struct Backoff {
    began: Instant,
    limit: Duration,
    pause: Duration,
}

impl Backoff {
    pub(super) fn new(limit: Duration) -> Self {
        Self { began: Instant::now(), limit, pause: Duration::from_millis(50) }
    }

    /// Waits for the next pause. Returns `false` if the limit is reached.
    ///
    /// # Errors
    /// [`Error::WaitInterrupted`] if a stop is requested meanwhile.
    pub(super) async fn pause(&mut self, stop: &CancellationToken) -> Result<bool> {
        let left = self.limit.saturating_sub(self.began.elapsed());
        if left.is_zero() {
            return Ok(false);
        }
        tokio::select! {
            () = tokio::time::sleep(self.pause.min(left)) => {}
            () = stop.cancelled() => return Err(Error::WaitInterrupted),
        }
        self.pause = (self.pause * 2).min(Duration::from_secs(1));
        Ok(true)
    }
}
