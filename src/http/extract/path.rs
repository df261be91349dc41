use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use super::value::{self, FieldValue};
use crate::http::openapi::operation::{Input, Operation};
use crate::http::{ApiError, AppState};

/// The only variable part of the path. The service parses it.
pub(crate) struct PathParam(pub(crate) String);

impl FromRequestParts<AppState> for PathParam {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let [value] = params(parts, app).await?;
        Ok(Self(value))
    }
}

impl Input for PathParam {
    fn describe(operation: &mut Operation) {
        operation.errors.extend([400, 404]);
    }
}

/// A parameter called `type`, and an id.
pub(crate) struct TypedId<T>(pub(crate) T, pub(crate) String);

impl<T: FieldValue> FromRequestParts<AppState> for TypedId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let [kind, id] = params(parts, app).await?;
        let located = |error: crate::http::FieldError| error.within(["path".into(), "type".into()]);
        let kind = T::parse(value::Input::Text(kind.into()))
            .map_err(|errors| ApiError::Validation(errors.into_iter().map(located).collect()))?;
        Ok(Self(kind, id))
    }
}

impl<T: FieldValue> Input for TypedId<T> {
    fn describe(operation: &mut Operation) {
        operation.errors.extend([400, 404, 422]);
    }
}

async fn params<const N: usize>(parts: &mut Parts, app: &AppState) -> Result<[String; N], ApiError> {
    let params = RawPathParams::from_request_parts(parts, app)
        .await
        .map_err(|_| ApiError::BadRequest("Invalid path: it is not UTF-8".to_owned()))?;
    let values: Vec<_> = params.iter().map(|(_, value)| value.to_owned()).collect();
    Ok(values.try_into().expect("the route's path has as many parameters as the handler takes"))
}
