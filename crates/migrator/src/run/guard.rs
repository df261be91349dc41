use std::time::{Duration, Instant};

use crate::{Error, Result, Stop};
use parking_lot::Mutex;

/// The time beyond its limit in which an attempt may reach the next batch boundary.
const GRACE: Duration = Duration::from_secs(2);

/// The limits that may end a run between two batches, and the time of the last progress record.
#[derive(Debug)]
pub(crate) struct RunGuard {
    deadline: Mutex<Option<(Instant, Duration)>>,
    progress: Mutex<Instant>,
}

impl RunGuard {
    pub(crate) fn new() -> Self {
        Self { deadline: Mutex::new(None), progress: Mutex::new(Instant::now()) }
    }

    /// Starts an attempt with this time limit.
    pub(crate) fn begin(&self, limit: Option<Duration>) {
        let until = limit.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)));
        *self.deadline.lock() = until;
        *self.progress.lock() = Instant::now();
    }

    /// Checks before a batch that no stop was requested and the time limit is not exceeded.
    pub(crate) fn check(&self, stop: &Stop) -> Result<()> {
        if stop.is_requested() {
            return Err(Error::interrupted());
        }
        match *self.deadline.lock() {
            Some((until, limit)) if Instant::now() >= until => Err(Error::TimeLimit { limit }),
            _ => Ok(()),
        }
    }

    /// Runs an attempt within its time limit. An attempt that does not reach a batch boundary in time is dropped.
    pub(crate) async fn within(&self, work: impl Future<Output = Result<()>>) -> Result<()> {
        let limit = *self.deadline.lock();
        let Some((until, limit)) = limit else { return work.await };
        let left = until.saturating_duration_since(Instant::now()).saturating_add(GRACE);
        match tokio::time::timeout(left, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::TimeLimit { limit }),
        }
    }

    /// Returns true if the next progress record is due; if so, it counts as written.
    pub(crate) fn is_progress_due(&self, every: Duration) -> bool {
        let mut last = self.progress.lock();
        let due = last.elapsed() >= every;
        if due {
            *last = Instant::now();
        }
        due
    }
}
