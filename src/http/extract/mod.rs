//! Extractors of our own: their rejections are [`ApiError`]s.

/// Who asks.
mod auth;
/// The fields of bodies, read leniently and judged all together.
pub(crate) mod fields;
/// Changes that depend on the state of an item.
mod if_match;
/// Bodies of requests: every error in one answer.
pub(crate) mod json;
/// The variable parts of a path.
mod path;
/// Query parameters, read leniently and judged all together.
pub(crate) mod query;

pub(crate) use auth::Visitor;
pub(crate) use if_match::IfMatch;
pub(crate) use path::{Segment, Segments};
pub(crate) use query::ValidQuery;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::{ApiError, AppState};
use crate::service::Services;

/// The use cases, once the gate is open.
pub(crate) struct Ready(pub(crate) Arc<Services>);

impl FromRequestParts<AppState> for Ready {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        app.gate.services().map(Self)
    }
}
