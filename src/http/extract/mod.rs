//! Extractors. Their rejections are `ApiError`s, and each describes its part of the operation.

/// The caller, admitted by the route's policy.
mod auth;
/// Fields of requests: parsed, validated and described from one declaration.
mod fields;
/// Preconditions on the state of an item.
mod if_match;
/// JSON bodies.
mod json;
/// Variable parts of the path.
mod path;
/// Query parameters.
mod query;
/// Types of fields.
mod value;

pub(crate) use auth::Auth;
pub(crate) use fields::{
    Field, FieldSpec, Fields, FromFields, RequestBody, absent_is, default, omittable, optional, optional_as,
    page, patch, query, request, required,
};
pub(crate) use if_match::IfMatch;
pub(crate) use json::Authorized;
pub(crate) use path::{PathParam, TypedId};
pub(crate) use query::ValidQuery;
pub(crate) use value::MAX_SAFE_INTEGER;

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;

use super::middleware::request_id::RequestId;
use super::openapi::operation::Input;
use super::{ApiError, AppState};
use crate::service::Services;

/// The use cases. While the gate is closed there are none, and the response is a 503.
impl FromRequestParts<AppState> for Arc<Services> {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        app.gate.services()
    }
}

impl Input for Arc<Services> {}
impl Input for State<AppState> {}
impl Input for RequestId {}
