//! Routes, extractors, wire types, and every shape of an error.

/// Bodies of requests: every error in one answer.
mod body;
/// Sockets.
mod connections;
/// How much is under way.
mod crowd;
/// The page on which the API is read and tried.
mod docs;
/// What surrounds the routes: origins, limits, headers for the safety of browsers.
mod edge;
/// Every error shape, in one table.
mod error;
/// Extractors of our own: every rejection is an [`ApiError`].
mod extract;
/// The fields of bodies, read leniently and judged all together.
mod fields;
/// The gate: closed until the start-up is over.
mod gate;
/// Health, readiness and the index.
mod health;
/// Links from one window of a list to the next.
mod link;
/// Who somebody is.
mod me;
/// The way from an old slug to the new one.
mod moved;
/// Links of the navigation.
mod navlinks;
/// Request ids, spans, one log line for each error, and the bodies of errors.
mod observe;
/// The OpenAPI document.
pub mod openapi;
/// Pages.
mod pages;
/// Who may call a route.
mod policy;
/// Projects.
mod projects;
/// Query parameters, read leniently and judged all together.
mod query;
/// Rendered responses.
mod rendered;
/// What tells a request from all others.
mod request_id;
/// What a row of the table of routes says.
mod route;
/// The one table of routes.
mod routes;
/// The header that says what was removed from content.
mod sanitized;
/// Sections.
mod sections;
/// Stories.
mod stories;
/// Entity tags of items, and changes that depend on them.
mod tag;
/// What is deleted.
mod trash;
/// The `Vary` header, which several layers add to.
mod vary;
/// Wire forms that all resources share.
mod wire;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

pub use connections::{ConnectionSettings, raise_socket_limit, serve};
pub use crowd::Crowd;
pub use edge::{Edge, EdgeSettings, Limit, Network, Standing};
pub use error::{ApiError, FieldError, Step};
pub use gate::{Gate, Progress};
pub use policy::Policy;
pub use rendered::{Front, Rendered, RenderedCounts, RenderedSettings};
pub use route::{Route, Verb};
pub use routes::{router, routes};

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
