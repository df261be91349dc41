use std::time::{Duration, Instant};

use crate::{Error, Result, Stop};
use parking_lot::Mutex;

/// For how much longer than it may an attempt is given to come to the next place between two batches.
const GRACE: Duration = Duration::from_secs(2);

/// What may end a run between two batches, other than the lease; and when progress was written down last.
#[derive(Debug)]
pub(crate) struct RunGuard {
    deadline: Mutex<Option<(Instant, Duration)>>,
    progress: Mutex<Instant>,
}

impl RunGuard {
    pub(crate) fn new() -> Self {
        Self { deadline: Mutex::new(None), progress: Mutex::new(Instant::now()) }
    }

    /// An attempt begins: it may run so long.
    pub(crate) fn begin(&self, limit: Option<Duration>) {
        let until = limit.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)));
        *self.deadline.lock() = until;
        *self.progress.lock() = Instant::now();
    }

    /// Whether the next batch may be begun.
    pub(crate) fn check(&self, stop: &Stop) -> Result<()> {
        if stop.is_requested() {
            return Err(Error::interrupted());
        }
        match *self.deadline.lock() {
            Some((until, limit)) if Instant::now() >= until => Err(Error::TimeLimit { limit }),
            _ => Ok(()),
        }
    }

    /// Runs an attempt for as long as it may. It is expected to stop by itself between two batches; what does not come
    /// to such a place is given up.
    pub(crate) async fn within(&self, work: impl Future<Output = Result<()>>) -> Result<()> {
        let limit = *self.deadline.lock();
        let Some((until, limit)) = limit else { return work.await };
        let left = until.saturating_duration_since(Instant::now()).saturating_add(GRACE);
        match tokio::time::timeout(left, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::TimeLimit { limit }),
        }
    }

    /// Whether it is time to write down how far the attempt has come; if so, it is taken for done.
    pub(crate) fn is_progress_due(&self, every: Duration) -> bool {
        let mut last = self.progress.lock();
        let due = last.elapsed() >= every;
        if due {
            *last = Instant::now();
        }
        due
    }
}
