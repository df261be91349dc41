use axum::http::HeaderValue;

use crate::domain::Revision;

/// The entity tag of a revision.
pub(crate) fn etag(revision: &Revision) -> HeaderValue {
    // A revision is made of letters and digits, so it can always be a header.
    HeaderValue::from_str(&format!("\"{revision}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}
