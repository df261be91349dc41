use std::fmt;
use std::time::{Duration, Instant};

use migrator::Event;

/// The minimum time between two lines of the log.
const INTERVAL: Duration = Duration::from_secs(1);

/// The progress of a run of migrations, measured from its events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Meter {
    /// The current migration.
    pub migration: Option<String>,
    /// The current step.
    pub step: Option<String>,
    /// Documents that the step has processed.
    pub done: u64,
    /// Documents at the start of the step, if they were counted.
    pub total: Option<u64>,
    /// Documents per second, since the step started in this process.
    pub rate: Option<f64>,
    /// The holder of the lock that this process waits for.
    pub holder: Option<String>,
    /// Set while the migration is being rolled back.
    pub rolling_back: bool,
    /// The start of the current step.
    step_started: Option<Instant>,
    /// The time of the last report.
    reported: Option<Instant>,
}

impl Meter {
    /// Records an event. Returns whether a report is due.
    pub fn record(&mut self, event: &Event<'_>, now: Instant) -> bool {
        match event {
            Event::LockWait { holder } => {
                *self = Self { holder: Some((*holder).to_owned()), ..self.reset() };
            }
            Event::LockTaken { .. } => *self = self.reset(),
            Event::Started { migration, .. } => {
                *self = Self { migration: Some((*migration).to_owned()), ..self.reset() };
            }
            Event::RollingBack { migration } => {
                let migration = Some((*migration).to_owned());
                *self = Self { migration, rolling_back: true, ..self.reset() };
            }
            Event::StepStarted { step, .. } => {
                let (migration, rolling_back) = (self.migration.take(), self.rolling_back);
                let (step, step_started) = (Some((*step).to_owned()), Some(now));
                *self = Self { migration, step, rolling_back, step_started, ..self.reset() };
            }
            Event::Counted { total, .. } => self.total = Some(*total),
            Event::Progress { counts, .. } => {
                self.done = counts.inserted + counts.updated + counts.deleted + counts.left;
                self.rate = self.rate(now);
            }
            _ => return false,
        }
        let due = self.reported.is_none_or(|reported| now.saturating_duration_since(reported) >= INTERVAL);
        if due {
            self.reported = Some(now);
        }
        due
    }

    /// Returns a meter that knows only the time of the last report.
    fn reset(&self) -> Self {
        Self { reported: self.reported, ..Self::default() }
    }

    fn rate(&self, now: Instant) -> Option<f64> {
        let seconds = now.saturating_duration_since(self.step_started?).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate is shown with few digits")]
        let done = self.done as f64;
        (seconds > 0.0 && done > 0.0).then(|| done / seconds)
    }

    /// Returns the progress from 0 to 100, if the documents were counted.
    pub fn percent(&self) -> Option<u8> {
        let total = self.total.filter(|total| *total > 0)?;
        let percent = self.done.min(total).saturating_mul(100) / total;
        u8::try_from(percent).ok()
    }

    /// Estimates the remaining time of the step from its rate.
    pub fn left(&self) -> Option<Duration> {
        let left = self.total?.saturating_sub(self.done);
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let seconds = left as f64 / self.rate?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// Formats the progress in one line.
impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(holder) = &self.holder {
            return write!(f, "waiting for the migration lock, held by {holder}");
        }
        if self.rolling_back {
            f.write_str("rolling back ")?;
        }
        f.write_str(self.migration.as_deref().unwrap_or("migrations"))?;
        let Some(step) = &self.step else { return Ok(()) };
        write!(f, ": {step}")?;
        match (self.total, self.percent()) {
            (Some(total), Some(percent)) => write!(f, ", {} of {total} ({percent} %)", self.done)?,
            _ if self.done > 0 => write!(f, ", {}", self.done)?,
            _ => {}
        }
        if let Some(rate) = self.rate {
            write!(f, ", {rate:.0}/s")?;
        }
        if let Some(left) = self.left() {
            write!(f, ", {} s left", left.as_secs())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use migrator::StepCounts;

    use super::*;

    fn counts(updated: u64) -> StepCounts {
        StepCounts { step: "link".into(), collection: "stories".into(), updated, ..StepCounts::default() }
    }

    #[test]
    fn meter_has_rate_and_remaining_time() {
        let mut meter = Meter::default();
        let start = Instant::now();
        meter.record(&Event::Started { migration: "0004_a", attempt: 1 }, start);
        meter.record(&Event::StepStarted { migration: "0004_a", step: "link" }, start);
        meter.record(&Event::Counted { migration: "0004_a", total: 10_000 }, start);
        let later = start + Duration::from_secs(2);
        assert!(meter.record(&Event::Progress { migration: "0004_a", counts: &counts(2_500) }, later));
        assert_eq!((meter.percent(), meter.left()), (Some(25), Some(Duration::from_secs(6))));
        assert_eq!(meter.to_string(), "0004_a: link, 2500 of 10000 (25 %), 1250/s, 6 s left");
    }

    #[test]
    fn reports_are_due_at_most_once_per_second() {
        let mut meter = Meter::default();
        let start = Instant::now();
        let due = (0..50_u64).filter(|n| {
            let now = start + Duration::from_millis(100 * n);
            meter.record(&Event::Progress { migration: "0004_a", counts: &counts(*n) }, now)
        });
        assert_eq!(due.count(), 5);
    }

    #[test]
    fn lock_holder_is_named_until_the_lock_is_acquired() {
        let mut meter = Meter::default();
        let now = Instant::now();
        meter.record(&Event::LockWait { holder: "host:1" }, now);
        assert_eq!(meter.to_string(), "waiting for the migration lock, held by host:1");
        meter.record(&Event::LockTaken { fence: 1 }, now);
        assert_eq!(meter.holder, None);
    }

    #[test]
    fn progress_is_capped_at_100_percent() {
        let meter = Meter { done: 11, total: Some(10), rate: Some(1.0), ..Meter::default() };
        assert_eq!((meter.percent(), meter.left()), (Some(100), Some(Duration::ZERO)));
        assert_eq!(Meter { total: Some(0), ..Meter::default() }.percent(), None);
    }
}
