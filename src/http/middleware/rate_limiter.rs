use std::collections::HashMap;
use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

const WINDOW: TimeDelta = TimeDelta::minutes(1);
/// The maximum number of windows in memory; beyond it, the oldest are dropped.
const MAX_WINDOWS: usize = 16_384;

/// The number of times that a client may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// The name in `RateLimit` headers.
    pub name: &'static str,
    /// The number of times per minute.
    pub per_minute: u32,
}

/// The state of a limit for one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// The limit.
    pub limit: RateLimit,
    /// The number of requests left in this window.
    pub remaining: u32,
    /// The number of seconds until the next window starts.
    pub seconds_left: u64,
}

/// A client, a method and the template of a route.
pub(crate) type RateLimitKey = (IpAddr, &'static str, &'static str);

/// Counts requests in windows of a minute, which start with the first request.
#[derive(Default)]
pub(crate) struct RateLimiter {
    windows: Mutex<HashMap<RateLimitKey, RateWindow>>,
}

struct RateWindow {
    started: DateTime<Utc>,
    count: u32,
}

impl RateLimiter {
    /// Counts one request, if it is within the limit.
    ///
    /// # Errors
    /// If it is not.
    pub(crate) fn try_acquire(
        &self,
        key: RateLimitKey,
        limit: RateLimit,
        now: DateTime<Utc>,
    ) -> Result<RateLimitStatus, RateLimitStatus> {
        let mut windows = self.windows.lock();
        if windows.len() >= MAX_WINDOWS && !windows.contains_key(&key) {
            make_room(&mut windows, now);
        }
        let window = windows.entry(key).or_insert(RateWindow { started: now, count: 0 });
        if now - window.started >= WINDOW {
            *window = RateWindow { started: now, count: 0 };
        }
        let within = window.count < limit.per_minute;
        window.count += u32::from(within);
        let status = window.status(limit, now);
        if within { Ok(status) } else { Err(status) }
    }

    /// Uncounts one request.
    pub(crate) fn refund(&self, key: &RateLimitKey) {
        if let Some(window) = self.windows.lock().get_mut(key) {
            window.count = window.count.saturating_sub(1);
        }
    }

    /// Checks whether one more request would be within the limit, without counting it.
    ///
    /// # Errors
    /// If it would not.
    pub(crate) fn check(
        &self,
        key: &RateLimitKey,
        limit: RateLimit,
        now: DateTime<Utc>,
    ) -> Result<(), RateLimitStatus> {
        match self.windows.lock().get(key) {
            Some(window) if now - window.started < WINDOW && window.count >= limit.per_minute => {
                Err(window.status(limit, now))
            }
            _ => Ok(()),
        }
    }
}

impl RateWindow {
    fn status(&self, limit: RateLimit, now: DateTime<Utc>) -> RateLimitStatus {
        let left = (WINDOW - (now - self.started)).num_milliseconds().max(0).unsigned_abs();
        RateLimitStatus {
            limit,
            remaining: limit.per_minute.saturating_sub(self.count),
            seconds_left: left.div_ceil(1000).max(1),
        }
    }
}

/// Drops the windows that are over; if that is not enough, the older half.
fn make_room(windows: &mut HashMap<RateLimitKey, RateWindow>, now: DateTime<Utc>) {
    windows.retain(|_, window| now - window.started < WINDOW);
    if windows.len() >= MAX_WINDOWS {
        let mut starts: Vec<_> = windows.values().map(|window| window.started).collect();
        let (_, median, _) = starts.select_nth_unstable(MAX_WINDOWS / 2);
        let median = *median;
        windows.retain(|_, window| window.started > median);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LIMIT: RateLimit = RateLimit { name: "test", per_minute: 2 };

    fn key(n: u32) -> RateLimitKey {
        (Ipv4Addr::from_bits(n).into(), "POST", "/sections")
    }

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(milliseconds).unwrap()
    }

    #[test]
    fn windows_start_with_the_first_request_and_last_a_minute() {
        let limiter = RateLimiter::default();
        let status = |remaining, seconds_left| RateLimitStatus { limit: LIMIT, remaining, seconds_left };
        assert_eq!(limiter.try_acquire(key(1), LIMIT, at(500)), Ok(status(1, 60)));
        assert_eq!(limiter.check(&key(1), LIMIT, at(500)), Ok(()));
        assert_eq!(limiter.try_acquire(key(1), LIMIT, at(30_000)), Ok(status(0, 31)));
        assert_eq!(limiter.try_acquire(key(1), LIMIT, at(60_499)), Err(status(0, 1)));
        assert_eq!(limiter.check(&key(1), LIMIT, at(60_499)), Err(status(0, 1)));
        assert_eq!(limiter.try_acquire(key(2), LIMIT, at(60_499)), Ok(status(1, 60)));
        assert_eq!(limiter.check(&key(1), LIMIT, at(60_500)), Ok(()));
        assert_eq!(limiter.try_acquire(key(1), LIMIT, at(60_500)), Ok(status(1, 60)));
    }

    #[test]
    fn refunded_requests_are_not_counted() {
        let limiter = RateLimiter::default();
        for _ in 0..10 {
            assert!(limiter.try_acquire(key(1), LIMIT, at(0)).is_ok());
            limiter.refund(&key(1));
        }
    }

    #[test]
    fn memory_is_bounded_and_the_latest_windows_are_kept() {
        let limiter = RateLimiter::default();
        for n in 0..100_000 {
            _ = limiter.try_acquire(key(n), LIMIT, at(i64::from(n) / 100));
            assert!(limiter.windows.lock().len() <= MAX_WINDOWS);
        }
        assert!(limiter.windows.lock().contains_key(&key(99_999)));
        // All windows start at the same instant.
        let limiter = RateLimiter::default();
        for n in 0..40_000 {
            _ = limiter.try_acquire(key(n), LIMIT, at(0));
        }
        assert!(limiter.windows.lock().len() <= MAX_WINDOWS);
    }
}
