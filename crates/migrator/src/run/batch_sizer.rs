use std::time::{Duration, Instant};

use docstore::Database;

use crate::{Result, Settings};

/// Batches begin with so many documents, and have no fewer and no more than these.
const FIRST: u64 = 1000;
const FEWEST: u64 = 100;
const MOST: u64 = 40_000;
/// A batch is to take this long: long beside what a commit costs, short for those who wait for its documents.
const TARGET: Duration = Duration::from_millis(500);
/// How often it is asked how far the secondaries are behind.
const ASK: Duration = Duration::from_secs(2);
/// How long a batch waits for them at the most: a secondary that is behind on purpose would never catch up.
const WAIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);

/// How large a batch is: steered towards the time that it is to take.
pub(super) struct BatchSizer {
    size: u64,
    asked: Option<Instant>,
}

impl BatchSizer {
    pub(super) fn new() -> Self {
        Self { size: FIRST, asked: None }
    }

    /// For a migration that is one transaction.
    pub(super) fn whole() -> Self {
        Self { size: MOST, asked: None }
    }

    /// How many documents the next batch goes through.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// A batch took this long.
    pub(super) fn took(&mut self, time: Duration) {
        let fitting = TARGET.as_secs_f64() / time.as_secs_f64().max(1e-6);
        // Not too much at once: one slow batch says little.
        self.scale(fitting.clamp(0.25, 2.0));
    }

    /// A batch met somebody else's write.
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
        self.size = ((self.size as f64 * by) as u64).clamp(FEWEST, MOST);
    }

    /// Waits while the secondaries are too far behind, ten seconds at the most.
    pub(super) async fn throttle(&mut self, db: &Database, settings: &Settings) -> Result<()> {
        let Some(most) = settings.replication_lag else { return Ok(()) };
        if self.asked.is_some_and(|asked| asked.elapsed() < ASK) {
            return Ok(());
        }
        let began = Instant::now();
        while let Some(lag) = db.replication_lag().await? {
            self.asked = Some(Instant::now());
            if lag <= most || began.elapsed() >= WAIT {
                return Ok(());
            }
            tracing::debug!(lag_ms = lag.as_millis(), "waiting for secondaries that are behind");
            tokio::time::sleep(PAUSE).await;
        }
        self.asked = Some(Instant::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_steered_towards_the_target_within_bounds() {
        let mut sizer = BatchSizer::new();
        assert_eq!(sizer.size(), FIRST);
        sizer.took(TARGET / 2);
        assert_eq!(sizer.size(), 2 * FIRST);
        sizer.took(TARGET * 2);
        assert_eq!(sizer.size(), FIRST);
        sizer.conflicted();
        assert_eq!(sizer.size(), FIRST / 2);
        for _ in 0..9 {
            sizer.took(TARGET * 100);
        }
        assert_eq!(sizer.size(), FEWEST);
        for _ in 0..9 {
            sizer.took(Duration::ZERO);
        }
        assert_eq!(sizer.size(), MOST);
    }
}
