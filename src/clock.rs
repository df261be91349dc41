//! The time is an argument: only start-up reads the system's clock.

use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use parking_lot::Mutex;

/// A source of the current time.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time in whole milliseconds, the precision of the store, so that a response to a creation
    /// equals later reads.
    fn now(&self) -> DateTime<Utc>;
}

/// The system clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::<Utc>::from(SystemTime::now()).trunc_subsecs(3)
    }
}

/// Returns whether a period that began at `start` is not over yet. If the clock was set back meanwhile, the period is over
/// after at most twice its length, however far the clock was set back.
pub fn is_within(period: TimeDelta, start: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (now - start).abs() < period
}

/// A clock for tests, which moves only by [`FixedClock::advance`].
#[derive(Debug, Clone)]
pub struct FixedClock(Arc<Mutex<DateTime<Utc>>>);

impl FixedClock {
    /// Creates a clock at this instant, truncated to whole milliseconds.
    pub fn at(instant: DateTime<Utc>) -> Self {
        Self(Arc::new(Mutex::new(instant.trunc_subsecs(3))))
    }

    /// Advances the clock and its clones.
    pub fn advance(&self, by: TimeDelta) {
        *self.0.lock() += by;
    }
}

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_clock_returns_whole_milliseconds() {
        let now = SystemClock.now();
        assert_eq!(now, now.trunc_subsecs(3));
        assert!(now.timestamp() > 1_700_000_000);
    }

    #[test]
    fn period_ends_although_the_clock_was_set_back() {
        let (start, minute) = (DateTime::UNIX_EPOCH, TimeDelta::minutes(1));
        let is_within_after = |seconds| is_within(minute, start, start + TimeDelta::seconds(seconds));
        assert!(is_within_after(0) && is_within_after(59) && is_within_after(-59));
        assert!(!is_within_after(60) && !is_within_after(-60) && !is_within_after(-3600));
    }

    #[test]
    fn fixed_clock_moves_only_on_advance() {
        let clock = FixedClock::at(DateTime::UNIX_EPOCH);
        let same = clock.clone();
        assert_eq!(clock.now(), DateTime::UNIX_EPOCH);
        same.advance(TimeDelta::milliseconds(1500));
        assert_eq!(clock.now(), DateTime::UNIX_EPOCH + TimeDelta::milliseconds(1500));
    }
}
