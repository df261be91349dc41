use std::time::{Duration, Instant};

use docstore::Database;

use crate::{Result, Settings};

/// The smallest and largest number of documents in a batch.
const MIN: u64 = 100;
const MAX: u64 = 40_000;
/// The intended duration of a batch: long compared with a commit, short for writers that wait for its documents.
const TARGET: Duration = Duration::from_millis(500);
/// The interval at which the replication lag is read.
const LAG_INTERVAL: Duration = Duration::from_secs(2);
/// The longest wait for secondaries. One that is delayed on purpose never catches up.
const LAG_TIMEOUT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);

/// Adapts the size of batches to their intended duration.
pub(super) struct BatchSizer {
    size: u64,
    lag_read: Option<Instant>,
}

impl BatchSizer {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { size: settings.first_batch, lag_read: None }
    }

    /// Returns the sizer of a migration that is one transaction.
    pub(super) fn whole() -> Self {
        Self { size: MAX, lag_read: None }
    }

    /// Returns the number of documents in the next batch.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Adapts the size to the duration of a batch.
    pub(super) fn took(&mut self, time: Duration) {
        let fitting = TARGET.as_secs_f64() / time.as_secs_f64().max(1e-6);
        // One slow batch says little, so the size changes gradually.
        self.scale(fitting.clamp(0.25, 2.0));
    }

    /// Reduces the size after a conflict with another writer.
    pub(super) fn conflicted(&mut self) {
        self.scale(0.5);
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small positive number, and then clamped"
    )]
    fn scale(&mut self, by: f64) {
        self.size = ((self.size as f64 * by) as u64).clamp(MIN, MAX);
    }

    /// Waits while the secondaries lag too far behind, for at most ten seconds.
    pub(super) async fn throttle(&mut self, db: &Database, settings: &Settings) -> Result<()> {
        let Some(most) = settings.replication_lag else { return Ok(()) };
        if self.lag_read.is_some_and(|lag_read| lag_read.elapsed() < LAG_INTERVAL) {
            return Ok(());
        }
        let began = Instant::now();
        while let Some(lag) = db.replication_lag().await? {
            self.lag_read = Some(Instant::now());
            if lag <= most || began.elapsed() >= LAG_TIMEOUT {
                return Ok(());
            }
            tracing::debug!(lag_ms = lag.as_millis(), "waiting for lagging secondaries");
            tokio::time::sleep(PAUSE).await;
        }
        self.lag_read = Some(Instant::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_adapts_to_the_target_within_bounds() {
        let settings = Settings::default();
        let mut sizer = BatchSizer::new(&settings);
        assert_eq!(sizer.size(), settings.first_batch);
        sizer.took(TARGET / 2);
        assert_eq!(sizer.size(), 2 * settings.first_batch);
        sizer.took(TARGET * 2);
        assert_eq!(sizer.size(), settings.first_batch);
        sizer.conflicted();
        assert_eq!(sizer.size(), settings.first_batch / 2);
        for _ in 0..9 {
            sizer.took(TARGET * 100);
        }
        assert_eq!(sizer.size(), MIN);
        for _ in 0..9 {
            sizer.took(Duration::ZERO);
        }
        assert_eq!(sizer.size(), MAX);
    }
}
