use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use docstore::Lease;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::{Error, Result};

/// The number of terms after which the lease counts as lost if the store answers no renewal.
const UNANSWERED: u32 = 4;

/// A held lease with its heartbeat. When it is dropped, the heartbeat ends and the lease expires.
pub(crate) struct HeldLease {
    shared: Arc<Shared>,
    heartbeat: JoinHandle<()>,
}

struct Shared {
    lease: Lease,
    /// The time when the last successful renewal was sent; the term is never overestimated.
    renewed: Mutex<Instant>,
    lost: CancellationToken,
    /// The number of open transactions; see [`RenewalGrace`].
    graces: AtomicUsize,
    /// True if the last renewal was not answered.
    overdue: AtomicBool,
}

/// While it exists, an unanswered renewal never counts as a loss of the lease.
///
/// It is held while a transaction is open that writes to the ledger: if another process took the lease, that write fails,
/// and the transaction with it. On the embedded store an open transaction blocks all other writers, renewals included.
pub(crate) struct RenewalGrace(Arc<Shared>);

impl Drop for RenewalGrace {
    fn drop(&mut self) {
        self.0.graces.fetch_sub(1, Ordering::SeqCst);
    }
}

impl HeldLease {
    /// Starts the heartbeat of a lease that was requested at `requested`.
    pub(crate) fn new(lease: Lease, requested: Instant) -> Self {
        let shared = Arc::new(Shared {
            lease,
            renewed: Mutex::new(requested),
            lost: CancellationToken::new(),
            graces: AtomicUsize::new(0),
            overdue: AtomicBool::new(false),
        });
        let heartbeat = tokio::spawn(Arc::clone(&shared).beat());
        Self { shared, heartbeat }
    }

    pub(crate) fn fence(&self) -> i64 {
        self.shared.lease.fence()
    }

    /// Suspends the loss of the lease for a transaction that is about to begin.
    pub(crate) fn renewal_grace(&self) -> RenewalGrace {
        self.shared.graces.fetch_add(1, Ordering::SeqCst);
        RenewalGrace(Arc::clone(&self.shared))
    }

    /// Waits until the lease is lost.
    pub(crate) async fn lost(&self) {
        self.shared.lost.cancelled().await;
    }

    /// Checks before a write that enough of the term is left, and renews the lease if not: no write begins before the store
    /// has confirmed the lease.
    pub(crate) async fn ensure(&self) -> Result<()> {
        let mut renewed = false;
        while self.shared.is_short() && !self.shared.lost.is_cancelled() {
            if renewed {
                // The renewal failed, possibly at once.
                tokio::time::sleep(self.shared.lease.ttl() / 30).await;
            }
            self.shared.renew().await;
            renewed = true;
        }
        if self.shared.lost.is_cancelled() { Err(Error::LeaseLost) } else { Ok(()) }
    }

    /// Releases the lease. A failure is only logged: the lease then expires.
    pub(crate) async fn release(&self) {
        self.heartbeat.abort();
        if let Err(error) = self.shared.lease.release().await {
            tracing::warn!(%error, "failed to release the migration lock; it will expire");
        }
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

impl Shared {
    async fn beat(self: Arc<Self>) {
        let mut ticks = interval((self.lease.ttl() / 3).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        while !self.lost.is_cancelled() {
            ticks.tick().await;
            self.renew().await;
        }
    }

    async fn renew(&self) {
        let sent = Instant::now();
        let had_grace = self.has_grace();
        let left = self.lease.ttl().saturating_sub(self.age());
        // After a long transaction, or on a busy machine, the term may be over although the lease is still held: only the
        // store knows.
        let overdue = self.overdue.load(Ordering::SeqCst);
        let least = if overdue { self.lease.ttl() / 3 } else { Duration::from_millis(1) };
        let gone = match timeout(left.max(least), self.lease.renew()).await {
            Ok(Ok(true)) => {
                *self.renewed.lock() = sent;
                self.overdue.store(false, Ordering::SeqCst);
                false
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "failed to renew the migration lock");
                self.age() >= self.lease.ttl()
            }
            Err(_) => {
                self.overdue.store(true, Ordering::SeqCst);
                let waits = had_grace || self.has_grace();
                !waits && self.age() >= self.lease.ttl() * UNANSWERED
            }
            Ok(Ok(false)) => true,
        };
        if gone {
            tracing::error!(fence = self.lease.fence(), "lost the migration lock");
            self.lost.cancel();
        }
    }

    /// Returns true if a renewal is needed before a write. In a transaction the fenced write to the ledger decides, and a renewal
    /// could wait for the end of the transaction.
    fn is_short(&self) -> bool {
        !self.has_grace() && self.age() * 3 > self.lease.ttl() * 2
    }

    fn has_grace(&self) -> bool {
        self.graces.load(Ordering::SeqCst) > 0
    }

    fn age(&self) -> Duration {
        self.renewed.lock().elapsed()
    }
}
