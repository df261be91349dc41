//! The HTTP API: routes, extractors, wire types, errors, the response cache and the server.

/// The response cache.
mod cache;
/// All errors.
mod error;
/// Extractors, which reject requests with an [`ApiError`].
mod extract;
/// The layers around all routes.
mod middleware;
/// The OpenAPI document.
pub mod openapi;
/// The routes of each resource.
mod resources;
/// Builders of responses.
mod respond;
/// The table of routes and their policies.
mod routes;
/// The accept loop.
mod server;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

pub use cache::{CacheCounts, CacheSettings, CachedService, ResponseCache};
pub use error::{ApiError, FieldError, LocPart};
pub use middleware::{
    ConcurrencyLimit, Gate, MiddlewareSettings, MiddlewareState, RateLimit, RateLimitStatus, Readiness,
    is_origin,
};
pub use routes::{Policy, Route, openapi_document, router, routes};
pub use server::{ConnectionSettings, raise_socket_limit, serve};

use crate::clock::Clock;

/// The state of handlers and layers. Cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<AppStateParts>);

impl From<AppStateParts> for AppState {
    fn from(parts: AppStateParts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for AppState {
    type Target = AppStateParts;

    fn deref(&self) -> &AppStateParts {
        &self.0
    }
}

/// The contents of an [`AppState`].
pub struct AppStateParts {
    /// The gate, with the services behind it.
    pub gate: Arc<Gate>,
    /// The source of the current time.
    pub clock: Arc<dyn Clock>,
    /// The maximum duration of a request.
    pub request_timeout: Duration,
    /// Allowed origins, trusted proxies and rate limits.
    pub middleware: MiddlewareState,
    /// The response cache.
    pub cache: Arc<ResponseCache>,
    /// The limit of concurrent requests.
    pub concurrency: ConcurrencyLimit,
}
