use std::collections::HashMap;
use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::{Mutex, MutexGuard};

const WINDOW: TimeDelta = TimeDelta::minutes(1);
/// So many counts are kept at a time; when there are more, those that began first are forgotten.
const MOST: usize = 16_384;

/// How often a client may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// What it is called in answers.
    pub name: &'static str,
    /// How often in a minute.
    pub per_minute: u32,
}

/// How a client stands with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// The limit.
    pub limit: RateLimit,
    /// How often they may still ask in this window.
    pub remaining: u32,
    /// When the next window begins.
    pub seconds_left: u64,
}

/// What is counted: a client, and the template of a route with its method.
pub(crate) type Key = (IpAddr, &'static str, &'static str);

/// Counts, in windows of a minute that begin with the first request.
#[derive(Default)]
pub(crate) struct RateLimiter {
    windows: Mutex<HashMap<Key, Window>>,
}

struct Window {
    began: DateTime<Utc>,
    count: u32,
}

impl RateLimiter {
    /// Counts one.
    ///
    /// # Errors
    /// When it is one too many; it is not counted then.
    pub(crate) fn charge(
        &self,
        key: Key,
        limit: RateLimit,
        now: DateTime<Utc>,
    ) -> Result<RateLimitStatus, RateLimitStatus> {
        let mut windows = self.windows();
        if windows.len() >= MOST && !windows.contains_key(&key) {
            make_room(&mut windows, now);
        }
        let window = windows.entry(key).or_insert(Window { began: now, count: 0 });
        if now - window.began >= WINDOW {
            *window = Window { began: now, count: 0 };
        }
        let within = window.count < limit.per_minute;
        window.count += u32::from(within);
        let standing = window.standing(limit, now);
        if within { Ok(standing) } else { Err(standing) }
    }

    /// Takes one back.
    pub(crate) fn refund(&self, key: &Key) {
        if let Some(window) = self.windows().get_mut(key) {
            window.count = window.count.saturating_sub(1);
        }
    }

    /// Whether one more would be within the limit; it is not counted.
    ///
    /// # Errors
    /// When it would not.
    pub(crate) fn check(
        &self,
        key: &Key,
        limit: RateLimit,
        now: DateTime<Utc>,
    ) -> Result<(), RateLimitStatus> {
        match self.windows().get(key) {
            Some(window) if now - window.began < WINDOW && window.count >= limit.per_minute => {
                Err(window.standing(limit, now))
            }
            _ => Ok(()),
        }
    }

    fn windows(&self) -> MutexGuard<'_, HashMap<Key, Window>> {
        self.windows.lock()
    }
}

impl Window {
    fn standing(&self, limit: RateLimit, now: DateTime<Utc>) -> RateLimitStatus {
        let left = (WINDOW - (now - self.began)).num_milliseconds().max(0).unsigned_abs();
        RateLimitStatus {
            limit,
            remaining: limit.per_minute.saturating_sub(self.count),
            seconds_left: left.div_ceil(1000).max(1),
        }
    }
}

/// Forgets windows that are over; if that is not enough, the older half.
fn make_room(windows: &mut HashMap<Key, Window>, now: DateTime<Utc>) {
    windows.retain(|_, window| now - window.began < WINDOW);
    if windows.len() >= MOST {
        let mut began: Vec<_> = windows.values().map(|window| window.began).collect();
        let (_, median, _) = began.select_nth_unstable(MOST / 2);
        let median = *median;
        windows.retain(|_, window| window.began > median);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LIMIT: RateLimit = RateLimit { name: "test", per_minute: 2 };

    fn key(n: u32) -> Key {
        (Ipv4Addr::from_bits(n).into(), "POST", "/sections")
    }

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(milliseconds).unwrap()
    }

    #[test]
    fn windows_begin_with_the_first_request_and_last_a_minute() {
        let limiter = RateLimiter::default();
        let standing = |remaining, seconds_left| RateLimitStatus { limit: LIMIT, remaining, seconds_left };
        assert_eq!(limiter.charge(key(1), LIMIT, at(500)), Ok(standing(1, 60)));
        assert_eq!(limiter.check(&key(1), LIMIT, at(500)), Ok(()));
        assert_eq!(limiter.charge(key(1), LIMIT, at(30_000)), Ok(standing(0, 31)));
        assert_eq!(limiter.charge(key(1), LIMIT, at(60_499)), Err(standing(0, 1)));
        assert_eq!(limiter.check(&key(1), LIMIT, at(60_499)), Err(standing(0, 1)));
        assert_eq!(limiter.charge(key(2), LIMIT, at(60_499)), Ok(standing(1, 60)));
        assert_eq!(limiter.check(&key(1), LIMIT, at(60_500)), Ok(()));
        assert_eq!(limiter.charge(key(1), LIMIT, at(60_500)), Ok(standing(1, 60)));
    }

    #[test]
    fn one_that_is_taken_back_does_not_count() {
        let limiter = RateLimiter::default();
        for _ in 0..10 {
            assert!(limiter.charge(key(1), LIMIT, at(0)).is_ok());
            limiter.refund(&key(1));
        }
    }

    #[test]
    fn memory_is_bounded_and_the_latest_are_kept() {
        let limiter = RateLimiter::default();
        for n in 0..100_000 {
            _ = limiter.charge(key(n), LIMIT, at(i64::from(n) / 100));
            assert!(limiter.windows().len() <= MOST);
        }
        assert!(limiter.windows().contains_key(&key(99_999)));
        // All began at the same instant.
        let limiter = RateLimiter::default();
        for n in 0..40_000 {
            _ = limiter.charge(key(n), LIMIT, at(0));
        }
        assert!(limiter.windows().len() <= MOST);
    }
}
