use axum::Json;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use crate::domain::{Caller, Role};
use crate::http::ApiError;
use crate::http::extract::Visitor;
use crate::http::openapi::schema::words;
use crate::identity::Profile;

/// Somebody on the wire.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User, examples(json!({
    "id": "65a1b2c3d4e5f60718293a00", "email": "ada@example.com", "name": "Ada", "role": "author",
})))]
pub(crate) struct MeBody {
    id: String,
    email: String,
    name: String,
    #[schema(schema_with = roles)]
    role: &'static str,
}

fn roles() -> Object {
    words(&[Role::Admin, Role::Author, Role::Commenter].map(Role::as_str))
}

impl From<Profile> for MeBody {
    fn from(Profile { caller: Caller { id, role }, email, name }: Profile) -> Self {
        Self { id: id.to_string(), email, name, role: role.as_str() }
    }
}

/// Show who the caller is
#[utoipa::path(get, path = "/me", operation_id = "show_me",
    responses((status = 200, description = "The caller", body = MeBody)))]
pub(crate) async fn show(visitor: Visitor) -> Result<Response, ApiError> {
    Ok(Json(MeBody::from(visitor.profile().await?)).into_response())
}
