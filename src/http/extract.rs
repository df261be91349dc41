//! Extractors of our own: their rejections are [`ApiError`]s.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::query::{self, FromQuery};
use super::{ApiError, App};
use crate::domain::Caller;
use crate::identity;
use crate::service::Services;

/// The use cases, once the gate is open.
pub(super) struct Ready(pub(super) Arc<Services>);

impl FromRequestParts<App> for Ready {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, ApiError> {
        app.gate.services().map(Self)
    }
}

/// Query parameters, read and judged.
pub(super) struct ValidQuery<T>(pub(super) T);

impl<T: FromQuery> FromRequestParts<App> for ValidQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        query::read(parts.uri.query().unwrap_or_default()).map(Self).map_err(ApiError::Validation)
    }
}

/// The one variable part of the path, as text: what it means is for the service to say.
pub(super) struct Segment(pub(super) String);

impl FromRequestParts<App> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|_| ApiError::BadRequest("Invalid path: it is not UTF-8".to_owned()))?;
        let value = params.iter().next().map(|(_, value)| value.to_owned());
        value.map(Self).ok_or_else(|| ApiError::NotFound("Not Found".to_owned()))
    }
}

/// Who asks, not looked at before a handler wants to know. That nobody is signed in and that a token is wrong are
/// different things.
pub(super) struct Visitor {
    services: Arc<Services>,
    header: Option<Vec<u8>>,
}

impl Visitor {
    /// The caller.
    ///
    /// # Errors
    /// 401 without a good token.
    pub(super) async fn required(&self) -> Result<Caller, ApiError> {
        Ok(self.services.callers.resolve(self.header.as_deref()).await?)
    }

    /// The caller, if there is a good token: on a public route a stale one does no harm.
    pub(super) async fn if_known(&self) -> Result<Option<Caller>, ApiError> {
        match self.services.callers.resolve(self.header.as_deref()).await {
            Ok(caller) => Ok(Some(caller)),
            Err(identity::Error::Missing | identity::Error::Malformed | identity::Error::Rejected) => {
                Ok(None)
            }
            Err(error @ identity::Error::Users(_)) => Err(error.into()),
        }
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let header = parts.headers.get(AUTHORIZATION).map(|value| value.as_bytes().to_vec());
        Ok(Self { services: app.gate.services()?, header })
    }
}
