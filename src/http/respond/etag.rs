use axum::http::HeaderValue;

use crate::domain::Revision;

/// Returns the entity tag of a revision.
pub(crate) fn etag(revision: &Revision) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{revision}\"")).expect("a revision consists of letters and digits")
}
