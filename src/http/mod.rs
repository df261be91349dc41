//! The HTTP API: routes, extractors, wire types, errors, the response cache and the server.

/// The response cache.
mod cache;
/// All errors.
mod error;
/// Extractors, which reject requests with an [`ApiError`].
mod extract;
/// The checks of the fuzz targets of the API.
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
/// Refusals to delete pictures and videos.
mod media_in_use;
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
/// Refusals of uploads.
mod upload_error;

pub use cache::{CacheCounts, CacheSettings, CachedService, ResponseCache};
pub use error::{ApiError, FieldError, LocPart};
pub use middleware::{
    ConcurrencyLimit, Gate, MiddlewareSettings, MiddlewareState, RateLimit, RateLimitStatus, Readiness,
    is_origin,
};
pub use routes::{AppState, AppStateParts, Policy, Route, openapi_document, router, routes};
pub use server::{ConnectionSettings, raise_socket_limit, serve};
pub use upload_error::UploadError;
