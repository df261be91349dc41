//! Routes, extractors, wire types, and every shape of an error.

/// Rendered responses.
mod cache;
/// Every error shape, in one table.
mod error;
/// Extractors of our own: every rejection is an [`ApiError`].
mod extract;
/// What requests go through before and after their handler.
mod middleware;
/// The OpenAPI document.
pub mod openapi;
/// Who may call a route.
mod policy;
/// The routes of each resource.
mod resources;
/// Responses of our own.
mod respond;
/// What a row of the table of routes says.
mod route;
/// The one table of routes.
mod routes;
/// Sockets.
mod server;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

pub use cache::{Front, Rendered, RenderedCounts, RenderedSettings};
pub use error::{ApiError, FieldError, Step};
pub use middleware::concurrency::Crowd;
pub use middleware::gate::{Gate, Progress};
pub use middleware::{Edge, EdgeSettings, Limit, Network, Standing};
pub use policy::Policy;
pub use route::{Route, Verb};
pub use routes::{router, routes};
pub use server::{ConnectionSettings, raise_socket_limit, serve};

use crate::clock::Clock;

/// What every handler may reach. Each layer has it, so a copy costs next to nothing.
#[derive(Clone)]
pub struct App(Arc<AppParts>);

impl From<AppParts> for App {
    fn from(parts: AppParts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for App {
    type Target = AppParts;

    fn deref(&self) -> &AppParts {
        &self.0
    }
}

/// What an [`App`] is made of.
pub struct AppParts {
    /// Whether content is served, and by what.
    pub gate: Arc<Gate>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// A request may take so long.
    pub request_timeout: Duration,
    /// Origins, proxies, limits.
    pub edge: Edge,
    /// Rendered responses.
    pub rendered: Arc<Rendered>,
    /// How much is under way.
    pub crowd: Crowd,
}
