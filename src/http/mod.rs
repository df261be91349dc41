//! Routes, extractors, wire types, and every shape of an error.

/// Cached responses.
mod cache;
/// Every error shape, in one table.
mod error;
/// Extractors; every rejection is an [`ApiError`].
mod extract;
/// What requests go through before and after their handler.
mod middleware;
/// The OpenAPI document.
mod openapi;
/// The callers that a route admits.
mod policy;
/// The routes of each resource.
mod resources;
/// Responses of our own.
mod respond;
/// A row of the route table.
mod route;
/// The route table.
mod routes;
/// Sockets.
mod server;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

pub use cache::{CacheCounts, CacheSettings, CachedService, ResponseCache};
pub use error::{ApiError, FieldError, LocPart};
pub use middleware::concurrency::ConcurrencyLimit;
pub use middleware::gate::{Gate, StartProgress};
pub use middleware::{MiddlewareSettings, MiddlewareState, Network, RateLimit, RateLimitStatus};
pub use policy::Policy;
pub use route::Route;
pub use routes::{openapi_document, router, routes};
pub use server::{ConnectionSettings, raise_socket_limit, serve};

use crate::clock::Clock;

/// What every handler may reach. Each layer has it, so a copy costs next to nothing.
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

/// What an [`AppState`] is made of.
pub struct AppStateParts {
    /// Whether content is served, and by what.
    pub gate: Arc<Gate>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// A request may take so long.
    pub request_timeout: Duration,
    /// Origins, proxies, limits.
    pub middleware: MiddlewareState,
    /// Cached responses.
    pub cache: Arc<ResponseCache>,
    /// How much is under way.
    pub concurrency: ConcurrencyLimit,
}
