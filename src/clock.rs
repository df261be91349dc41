//! The time is an argument: nothing below the start-up asks the system for it.

use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use parking_lot::Mutex;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The present instant, in whole milliseconds: the store keeps no more, and what is answered on creation has to
    /// equal what is read later.
    fn now(&self) -> DateTime<Utc>;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::<Utc>::from(SystemTime::now()).trunc_subsecs(3)
    }
}

/// A clock that stands still until it is told to move; for tests.
#[derive(Debug, Clone)]
pub struct FixedClock(Arc<Mutex<DateTime<Utc>>>);

impl FixedClock {
    /// A clock that shows this instant, cut to whole milliseconds.
    pub fn at(instant: DateTime<Utc>) -> Self {
        Self(Arc::new(Mutex::new(instant.trunc_subsecs(3))))
    }

    /// Moves it on, for all of its clones.
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
    fn the_system_clock_tells_whole_milliseconds() {
        let now = SystemClock.now();
        assert_eq!(now, now.trunc_subsecs(3));
        assert!(now.timestamp() > 1_700_000_000);
    }

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let clock = FixedClock::at(DateTime::UNIX_EPOCH);
        let same = clock.clone();
        assert_eq!(clock.now(), DateTime::UNIX_EPOCH);
        same.advance(TimeDelta::milliseconds(1500));
        assert_eq!(clock.now(), DateTime::UNIX_EPOCH + TimeDelta::milliseconds(1500));
    }
}
