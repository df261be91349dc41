//! The rate limits of routes, and the client that they apply to.

use std::collections::HashMap;
use std::hash::Hasher as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use twox_hash::XxHash3_64;

use crate::clock::is_within;
use crate::domain::Id;
use crate::http::{ApiError, AppState, Route};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const WINDOW: TimeDelta = TimeDelta::minutes(1);
/// The maximum number of windows in memory; beyond it, the oldest are dropped.
const MAX_WINDOWS: usize = 16_384;

/// The limit of all writes of a client together, which bounds what it can do by varying the path.
const ALL_WRITES: RateLimit = RateLimit { name: "all-writes", per_minute: 300 };

/// Enforces the rate limit of the matched route, for each path, and on writes that of all writes. A request with invalid
/// fields counts for the latter only.
pub(crate) async fn rate_limit(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let limit = Route::matched(request.extensions()).and_then(|route| route.limit);
    let client = request.extensions().get::<ClientInfo>().copied();
    let (Some(limit), Some(client), Some(limiter)) = (limit, client, &app.middleware.rate_limiter) else {
        return next.run(request).await;
    };
    let own = (RateLimitKey::of_path(client.address, request.method(), request.uri().path()), limit);
    let all = all_writes(client.address, request.method());
    let (mut response, status) = match limiter.try_acquire_both(own, all, app.clock.now()) {
        Ok(mut status) => {
            let response = next.run(request).await;
            if response.status() == StatusCode::UNPROCESSABLE_ENTITY {
                limiter.refund(&own.0);
                if status.limit == limit {
                    status.remaining += 1;
                }
            }
            (response, status)
        }
        Err(status) => (ApiError::from(status).into_response(), status),
    };
    add_headers(response.headers_mut(), status);
    response
}

/// Returns the limit of all writes, if the method is one of a write.
fn all_writes(client: IpAddr, method: &Method) -> Option<(RateLimitKey, RateLimit)> {
    (!method.is_safe()).then(|| (RateLimitKey::of_client(client), ALL_WRITES))
}

fn add_headers(headers: &mut HeaderMap, status: RateLimitStatus) {
    let RateLimitStatus { limit, remaining, seconds_left } = status;
    for (name, text) in [
        (RATE_LIMIT_POLICY, format!("\"{}\";q={};w=60", limit.name, limit.per_minute)),
        (RATE_LIMIT, format!("\"{}\";r={remaining};t={seconds_left}", limit.name)),
    ] {
        headers.insert(name, HeaderValue::from_str(&text).expect("names of limits are ASCII"));
    }
}

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

/// A client or user, and the hash of what they do: method and path, or 0 for everything together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RateLimitKey(Subject, u64);

/// The one whose requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    Client(IpAddr),
    User(Id),
}

impl RateLimitKey {
    /// Returns the key of everything that a client does.
    pub(crate) fn of_client(client: IpAddr) -> Self {
        Self(Subject::Client(client), 0)
    }

    /// Returns the key of what a user does at a row of the route table, whatever the path.
    pub(crate) fn of_user(user: Id, method: &Method, template: &str) -> Self {
        Self(Subject::User(user), hash(method, template))
    }

    /// Returns the key of a method and a path. Spellings of one path with other percent-encodings are the same.
    pub(crate) fn of_path(client: IpAddr, method: &Method, path: &str) -> Self {
        Self(Subject::Client(client), hash(method, path))
    }
}

fn hash(method: &Method, path: &str) -> u64 {
    let mut hash = XxHash3_64::new();
    hash.write(method.as_str().as_bytes());
    let path: Vec<u8> = percent_decode_str(path).collect();
    hash.write(&path);
    hash.finish()
}

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
    /// The status of the limit, if it is reached.
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
        if !window.is_current(now) {
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

    /// Counts one request against a limit, and against a second one if there is one, unless one of them is reached. Returns
    /// the status of the one with less left.
    ///
    /// # Errors
    /// The status of the limit that is reached.
    pub(crate) fn try_acquire_both(
        &self,
        (first, first_limit): (RateLimitKey, RateLimit),
        second: Option<(RateLimitKey, RateLimit)>,
        now: DateTime<Utc>,
    ) -> Result<RateLimitStatus, RateLimitStatus> {
        let status = self.try_acquire(first, first_limit, now)?;
        let Some((second, second_limit)) = second else { return Ok(status) };
        let other = self.try_acquire(second, second_limit, now).inspect_err(|_| self.refund(&first))?;
        Ok(if other.remaining < status.remaining { other } else { status })
    }
}

impl RateWindow {
    fn is_current(&self, now: DateTime<Utc>) -> bool {
        is_within(WINDOW, self.started, now)
    }

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
    windows.retain(|_, window| window.is_current(now));
    if windows.len() >= MAX_WINDOWS {
        let mut starts: Vec<_> = windows.values().map(|window| window.started).collect();
        let (_, median, _) = starts.select_nth_unstable(MAX_WINDOWS / 2);
        let median = *median;
        windows.retain(|_, window| window.started > median);
    }
}

/// The client behind trusted proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientInfo {
    /// The address; for IPv6 its /64 network, since one client has all addresses of it.
    pub(crate) address: IpAddr,
    /// True if a trusted proxy reports that the client used HTTPS.
    pub(crate) https: bool,
}

impl ClientInfo {
    /// Returns the address that the middleware found. Requests without one count as those of one client.
    pub(crate) fn address_of(extensions: &Extensions) -> IpAddr {
        extensions.get::<Self>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |client| client.address)
    }

    pub(crate) fn from_request(request: &Request, trusted: &[IpNet]) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        Self::from_peer(peer.map(|ConnectInfo(peer)| *peer), request.headers(), trusted)
    }

    pub(crate) fn from_peer(peer: Option<SocketAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        // Without a socket, all requests are of one client.
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        Self::behind_proxies(peer.to_canonical(), headers, trusted)
    }

    fn behind_proxies(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
        let mut client = peer;
        let values = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
        if is_trusted(&peer) {
            let hops = values(FORWARDED_FOR).collect::<Vec<_>>().join(",");
            // Each proxy appends the address of its peer; whatever precedes the first untrusted one may be forged.
            for hop in hops.rsplit(',') {
                let Some(address) = parse_hop(hop.trim()) else { break };
                client = address;
                if !is_trusted(&client) {
                    break;
                }
            }
        }
        let https =
            is_trusted(&peer) && values(FORWARDED_PROTO).any(|proto| proto.eq_ignore_ascii_case("https"));
        Self { address: client_network(client), https }
    }
}

/// Parses an address with an optional port. An IPv6 address may be in brackets.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let bare = bare.parse::<IpAddr>().ok();
    bare.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip())).map(|ip| ip.to_canonical())
}

fn client_network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit { name: "test", per_minute: 2 };

    fn key(n: u32) -> RateLimitKey {
        RateLimitKey::of_path(Ipv4Addr::from_bits(n).into(), &Method::POST, "/sections")
    }

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(milliseconds).unwrap()
    }

    #[test]
    fn windows_start_with_the_first_request_and_last_a_minute() {
        let limiter = RateLimiter::default();
        let status = |remaining, seconds_left| RateLimitStatus { limit: LIMIT, remaining, seconds_left };
        assert_eq!(limiter.try_acquire(key(1), LIMIT, at(500)), Ok(status(1, 60)));
        assert_eq!(limiter.try_acquire(key(1), LIMIT, at(30_000)), Ok(status(0, 31)));
        assert_eq!(limiter.try_acquire(key(1), LIMIT, at(60_499)), Err(status(0, 1)));
        assert_eq!(limiter.try_acquire(key(2), LIMIT, at(60_499)), Ok(status(1, 60)));
        assert_eq!(limiter.try_acquire(key(1), LIMIT, at(60_500)), Ok(status(1, 60)));
    }

    #[test]
    fn clients_are_not_refused_for_longer_after_the_clock_was_set_back() {
        const HOUR: i64 = 3_600_000;
        let limiter = RateLimiter::default();
        let acquire = |milliseconds| limiter.try_acquire(key(1), LIMIT, at(milliseconds));
        assert!(acquire(HOUR).is_ok() && acquire(HOUR).is_ok() && acquire(HOUR).is_err());
        assert!(acquire(0).is_ok_and(|status| (status.remaining, status.seconds_left) == (1, 60)));
        assert!(acquire(0).is_ok() && acquire(0).is_err());
        // A short way back is like a pause of the clock.
        assert!(acquire(-1000).is_err_and(|status| status.seconds_left == 61));
    }

    #[test]
    fn request_beyond_either_limit_is_counted_in_neither() {
        let limiter = RateLimiter::default();
        let path = |path| RateLimitKey::of_path(Ipv4Addr::from_bits(1).into(), &Method::PUT, path);
        let all = (
            RateLimitKey::of_client(Ipv4Addr::from_bits(1).into()),
            RateLimit { name: "all", per_minute: 3 },
        );
        let put = |name| {
            limiter.try_acquire_both((path(name), LIMIT), Some(all), at(0)).map(|status| status.remaining)
        };
        assert_eq!(
            (put("/a"), put("/a"), put("/%61").is_err(), put("/a").is_err()),
            (Ok(1), Ok(0), true, true)
        );
        assert_eq!((put("/b"), put("/c").is_err()), (Ok(0), true));
        assert!(limiter.try_acquire(path("/c"), LIMIT, at(0)).is_ok_and(|status| status.remaining == 1));
    }

    #[test]
    fn reads_do_not_count_as_writes() {
        let client = Ipv4Addr::from_bits(1).into();
        for read in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert_eq!(all_writes(client, &read), None, "{read}");
        }
        let (all, _) = all_writes(client, &Method::PUT).unwrap();
        let limiter = RateLimiter::default();
        let own = (RateLimitKey::of_path(client, &Method::GET, "/a"), LIMIT);
        let read = limiter.try_acquire_both(own, all_writes(client, &Method::GET), at(0));
        assert_eq!(read.map(|status| status.limit), Ok(LIMIT));
        assert!(!limiter.windows.lock().contains_key(&all));
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

    fn client(peer: &str, forwarded: &[&'static str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let headers = forwarded.iter().map(|value| (FORWARDED_FOR, HeaderValue::from_static(value)));
        let mut map = HeaderMap::new();
        headers.for_each(|(name, value)| _ = map.append(name, value));
        ClientInfo::behind_proxies(peer.parse().unwrap(), &map, &trusted).address.to_string()
    }

    #[test]
    fn only_trusted_proxies_may_forward_an_address() {
        assert_eq!(client("192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.9, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.9", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1:4711"]), "198.51.100.1");
        for v6 in ["2001:db8:1:2::1", "[2001:db8:1:2::1]", "[2001:db8:1:2::1]:4711"] {
            assert_eq!(client("10.0.0.1", &[v6]), "2001:db8:1:2::", "{v6}");
        }
    }

    #[test]
    fn an_invalid_hop_ends_the_search() {
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1, unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1, unknown, 10.0.0.7"]), "10.0.0.7");
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        assert_eq!(client("2001:db8::1", &[]), client("2001:db8::ffff:2", &[]));
        assert_ne!(client("2001:db8::1", &[]), client("2001:db8:0:1::1", &[]));
    }

    #[test]
    fn only_trusted_proxies_may_forward_https() {
        let headers = HeaderMap::from_iter([(FORWARDED_PROTO, HeaderValue::from_static("https"))]);
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        assert!(ClientInfo::behind_proxies([10, 0, 0, 1].into(), &headers, &trusted).https);
        assert!(!ClientInfo::behind_proxies([192, 0, 2, 1].into(), &headers, &trusted).https);
        assert!(!ClientInfo::behind_proxies([10, 0, 0, 1].into(), &HeaderMap::new(), &trusted).https);
    }
}
