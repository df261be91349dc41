use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use crate::http::{ApiError, AppState};

/// The one variable part of the path, as text: what it means is for the service to say.
pub(crate) struct Segment(pub(crate) String);

impl FromRequestParts<AppState> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let Segments([value]) = Segments::from_request_parts(parts, app).await?;
        Ok(Self(value))
    }
}

/// As [`Segment`], where there are so many, in their order.
pub(crate) struct Segments<const N: usize>(pub(crate) [String; N]);

impl<const N: usize> FromRequestParts<AppState> for Segments<N> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|_| ApiError::BadRequest("Invalid path: it is not UTF-8".to_owned()))?;
        let values = params.iter().map(|(_, value)| value.to_owned()).collect::<Vec<_>>();
        values.try_into().map(Self).map_err(|_| ApiError::NotFound("Not Found".to_owned()))
    }
}
