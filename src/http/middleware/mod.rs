//! The layers around all routes: request ids, the access log, the gate, limits, CORS and security headers.

/// Request ids, request spans and log lines.
mod access_log;
/// Checks of heads, the gate, the limit of concurrent requests, and the request timeout.
mod admission;
/// CORS, browser security headers and HSTS.
mod headers;
/// Rate limits, and the client's address behind proxies.
mod rate_limit;

pub(crate) use access_log::{
    NO_STORE, RequestId, X_REQUEST_ID, accepts_problem_json, log_early_response, log_request, request_id,
};
pub use admission::{ConcurrencyLimit, Gate, Readiness};
pub(crate) use admission::{Permit, UploadPlace, check_head, reject_malformed, require_open_gate, timeout};
pub use headers::is_origin;
pub(crate) use headers::{SECURITY_HEADERS, add_hsts, add_vary, allow_origin, cors_and_security_headers};
pub(crate) use rate_limit::{ClientInfo, RateLimitKey, rate_limit};
pub use rate_limit::{RateLimit, RateLimitStatus};

use headers::AllowedOrigins;
use ipnet::IpNet;
use rate_limit::RateLimiter;

/// The settings of the middleware.
#[expect(clippy::struct_excessive_bools, reason = "each is a variable of its own")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MiddlewareSettings {
    /// The origins, beside our own, that may read responses.
    pub extra_origins: Vec<String>,
    /// Lets a frontend on a developer's machine read responses.
    pub local_origins: bool,
    /// The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Sends `Strict-Transport-Security` to clients that used HTTPS.
    pub hsts: bool,
    /// Turns rate limits off.
    pub unlimited: bool,
    /// Logs a line for each request.
    pub log_requests: bool,
}

/// The state of the middleware: allowed origins, trusted proxies, rate limits.
pub struct MiddlewareState {
    origins: AllowedOrigins,
    trusted_proxies: Vec<IpNet>,
    hsts: bool,
    pub(crate) log_requests: bool,
    /// `None` if rate limits are off.
    pub(crate) rate_limiter: Option<RateLimiter>,
}

impl MiddlewareState {
    /// Creates the state, with nothing counted yet. Logs and ignores invalid extra origins.
    pub fn new(settings: MiddlewareSettings) -> Self {
        let MiddlewareSettings {
            extra_origins,
            local_origins,
            trusted_proxies,
            hsts,
            unlimited,
            log_requests,
        } = settings;
        let rate_limiter = (!unlimited).then(RateLimiter::default);
        let origins = AllowedOrigins::new(local_origins, &extra_origins);
        Self { origins, trusted_proxies, hsts, log_requests, rate_limiter }
    }
}
