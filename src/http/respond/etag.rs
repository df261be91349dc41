use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Json;
use crate::domain::Revision;

/// The entity tag of a revision.
pub(crate) fn of(revision: &Revision) -> HeaderValue {
    // A revision is made of letters and digits, so it can always be a header.
    HeaderValue::from_str(&format!("\"{revision}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// An item on the wire, with its entity tag.
pub(crate) fn tagged(status: StatusCode, revision: &Revision, body: impl Serialize) -> Response {
    (status, [(header::ETAG, of(revision))], Json(body)).into_response()
}
