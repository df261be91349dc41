use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use docstore::Lease;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::{Error, Result};

/// For how many terms a store may leave a renewal without an answer until the lease counts as lost.
const UNANSWERED: u32 = 4;

/// A held lease with its heartbeat. Dropped, the heartbeat ends and the lease runs out by itself.
pub(crate) struct HeldLease {
    shared: Arc<Shared>,
    heartbeat: JoinHandle<()>,
}

struct Shared {
    lease: Lease,
    /// When the request of the last good renewal was sent, so that our idea of the term is never too long.
    renewed: Mutex<Instant>,
    lost: watch::Sender<bool>,
    /// How many transactions are open, see [`Shield`].
    shields: AtomicUsize,
    /// Whether the last renewal got no answer.
    overdue: AtomicBool,
}

/// As long as it lives, a renewal without an answer is no loss, however long that lasts. It is held while a transaction is open that writes to
/// the ledger: if somebody took the lease meanwhile, that write fails, and all others with it. On the embedded store an
/// open transaction keeps renewals waiting, and everybody else's as well.
pub(crate) struct Shield(Arc<Shared>);

impl Drop for Shield {
    fn drop(&mut self) {
        self.0.shields.fetch_sub(1, Ordering::SeqCst);
    }
}

impl HeldLease {
    /// Keeps a lease that was asked for at `asked`.
    pub(crate) fn new(lease: Lease, asked: Instant) -> Self {
        let (renewed, lost) = (Mutex::new(asked), watch::Sender::new(false));
        let shared = Arc::new(Shared {
            lease,
            renewed,
            lost,
            shields: AtomicUsize::new(0),
            overdue: AtomicBool::new(false),
        });
        let heartbeat = tokio::spawn(Arc::clone(&shared).beat());
        Self { shared, heartbeat }
    }

    pub(crate) fn fence(&self) -> i64 {
        self.shared.lease.fence()
    }

    /// For a transaction that is about to begin.
    pub(crate) fn shield(&self) -> Shield {
        self.shared.shields.fetch_add(1, Ordering::SeqCst);
        Shield(Arc::clone(&self.shared))
    }

    /// Comes back when the lease is lost.
    pub(crate) async fn lost(&self) {
        // The sender lives as long as we do, so this ends only when the value is true.
        let _ = self.shared.lost.subscribe().wait_for(|lost| *lost).await;
    }

    /// Checks, before a write, that the lease is held for long enough, and renews it if not: no write is begun until the
    /// store has said that it is still ours.
    pub(crate) async fn ensure(&self) -> Result<()> {
        let mut asked = false;
        while self.shared.is_short() && !*self.shared.lost.borrow() {
            if asked {
                // It failed, which it may do at once.
                tokio::time::sleep(self.shared.lease.ttl() / 30).await;
            }
            self.shared.renew().await;
            asked = true;
        }
        if *self.shared.lost.borrow() { Err(Error::LeaseLost) } else { Ok(()) }
    }

    /// Gives the lease back. A failure is told in the log only: the lease then runs out.
    pub(crate) async fn release(&self) {
        self.heartbeat.abort();
        if let Err(error) = self.shared.lease.release().await {
            tracing::warn!(%error, "giving back the migration lock failed; it runs out by itself");
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
        while !*self.lost.borrow() {
            ticks.tick().await;
            self.renew().await;
        }
    }

    async fn renew(&self) {
        let sent = Instant::now();
        let shielded = self.is_shielded();
        let left = self.lease.ttl().saturating_sub(self.age());
        // After a long transaction, or on a machine that is too busy, the term may be over and the lease still ours: only
        // the store knows.
        let overdue = self.overdue.load(Ordering::SeqCst);
        let least = if overdue { self.lease.ttl() / 3 } else { Duration::from_millis(1) };
        let gone = match timeout(left.max(least), self.lease.renew()).await {
            Ok(Ok(true)) => {
                *self.renewed.lock() = sent;
                self.overdue.store(false, Ordering::SeqCst);
                false
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "renewing the migration lock failed");
                self.age() >= self.lease.ttl()
            }
            Err(_) => {
                self.overdue.store(true, Ordering::SeqCst);
                let waits = shielded || self.is_shielded();
                !waits && self.age() >= self.lease.ttl() * UNANSWERED
            }
            Ok(Ok(false)) => true,
        };
        if gone {
            tracing::error!(fence = self.lease.fence(), "the migration lock is lost");
            self.lost.send_replace(true);
        }
    }

    /// Whether it has to be renewed before a write. In a transaction the ledger says whether it is held, and a renewal
    /// might wait for the transaction's end.
    fn is_short(&self) -> bool {
        !self.is_shielded() && self.age() * 3 > self.lease.ttl() * 2
    }

    fn is_shielded(&self) -> bool {
        self.shields.load(Ordering::SeqCst) > 0
    }

    fn age(&self) -> Duration {
        self.renewed.lock().elapsed()
    }
}
