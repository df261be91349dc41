use axum::Json;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::ApiError;
use super::extract::Visitor;
use crate::domain::Caller;
use crate::identity::Profile;

/// Somebody on the wire.
#[derive(Debug, Serialize)]
struct MeBody {
    id: String,
    email: String,
    name: String,
    role: &'static str,
}

impl From<Profile> for MeBody {
    fn from(Profile { caller: Caller { id, role }, email, name }: Profile) -> Self {
        Self { id: id.to_string(), email, name, role: role.as_str() }
    }
}

/// `GET /me`
pub(super) async fn show(visitor: Visitor) -> Result<Response, ApiError> {
    Ok(Json(MeBody::from(visitor.profile().await?)).into_response())
}
