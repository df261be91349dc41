//! The layers around all routes: request ids, the access log, timeouts, the gate, limits, CORS and security headers.

/// Request spans and log lines.
pub(crate) mod access_log;
/// The client's address behind proxies.
mod client_ip;
/// The limit of concurrent requests.
pub(crate) mod concurrency;
/// CORS.
mod cors;
/// The bodies of errors.
pub(crate) mod error_body;
/// The gate that is closed until the start is complete.
pub(crate) mod gate;
/// The layer that enforces the rate limits of routes.
mod rate_limit;
/// The counting of requests.
mod rate_limiter;
/// Request ids.
pub(crate) mod request_id;
/// Browser security headers and HSTS.
mod security_headers;
/// The request timeout.
mod timeout;

pub(crate) use client_ip::ClientInfo;
pub(crate) use cors::{allow_origin, cors_and_security_headers};
pub(crate) use rate_limit::rate_limit;
pub use rate_limiter::{RateLimit, RateLimitStatus};
pub(crate) use request_id::X_REQUEST_ID;
pub(crate) use security_headers::{SECURITY_HEADERS, add_hsts};
pub(crate) use timeout::timeout;

use cors::AllowedOrigins;
use ipnet::IpNet;
use rate_limiter::RateLimiter;

/// The settings of the middleware.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MiddlewareSettings {
    /// The origins, beside our own, that may read responses.
    pub extra_origins: Vec<String>,
    /// The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Sends `Strict-Transport-Security` to clients that used HTTPS.
    pub hsts: bool,
    /// Turns rate limits off.
    pub unlimited: bool,
}

/// The state of the middleware: allowed origins, trusted proxies, rate limits.
pub struct MiddlewareState {
    origins: AllowedOrigins,
    trusted_proxies: Vec<IpNet>,
    hsts: bool,
    /// `None` if rate limits are off.
    pub(crate) rate_limiter: Option<RateLimiter>,
}

impl MiddlewareState {
    /// Creates the state, with nothing counted yet. Logs and ignores invalid extra origins.
    pub fn new(settings: MiddlewareSettings) -> Self {
        let MiddlewareSettings { extra_origins, trusted_proxies, hsts, unlimited } = settings;
        let rate_limiter = (!unlimited).then(RateLimiter::default);
        Self { origins: AllowedOrigins::new(&extra_origins), trusted_proxies, hsts, rate_limiter }
    }
}
