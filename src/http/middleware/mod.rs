//! What surrounds the routes: where a request comes from, what origins may read the answer, how often a client may ask.

/// Request spans, one log line for each error, and the bodies of errors.
pub(crate) mod access_log;
/// Who the client is, behind proxies.
mod client_ip;
/// How much is under way.
pub(crate) mod concurrency;
/// Which origins may read answers.
mod cors;
/// The gate: closed until the start-up is over.
pub(crate) mod gate;
/// The layers themselves.
mod layers;
/// Networks of addresses.
mod network;
/// How often a client may ask.
mod rate_limiter;
/// What tells a request from all others.
pub(crate) mod request_id;

pub(crate) use client_ip::ClientInfo;
pub(crate) use layers::{SAFETY, allow, limited, surround, want_https};
pub use network::Network;
pub use rate_limiter::{RateLimit, RateLimitStatus};

use cors::AllowedOrigins;
use rate_limiter::RateLimiter;

/// What the edge has to be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MiddlewareSettings {
    /// Origins beside our own that may read answers.
    pub extra_origins: Vec<String>,
    /// Proxies whose word on the client is believed.
    pub trusted_proxies: Vec<Network>,
    /// Whether browsers are told to come over HTTPS only, when they did so.
    pub hsts: bool,
    /// Whether clients may ask as often as they like.
    pub unlimited: bool,
}

/// Origins, proxies, limits.
pub struct MiddlewareState {
    origins: AllowedOrigins,
    trusted_proxies: Vec<Network>,
    hsts: bool,
    /// None where clients may ask as often as they like.
    pub(crate) limiter: Option<RateLimiter>,
}

impl MiddlewareState {
    /// With these settings, and nobody counted yet. An extra origin that is none is logged and passed over.
    pub fn new(settings: MiddlewareSettings) -> Self {
        let MiddlewareSettings { extra_origins, trusted_proxies, hsts, unlimited } = settings;
        let limiter = (!unlimited).then(RateLimiter::default);
        Self { origins: AllowedOrigins::with(&extra_origins), trusted_proxies, hsts, limiter }
    }
}
