use std::hash::{DefaultHasher, Hash, Hasher};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{ApiError, vary};

const PUBLIC: HeaderValue = HeaderValue::from_static("public, max-age=0, must-revalidate");
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-store");
/// The caller decides what is shown, and what is accepted decides the type of an error.
const VARY: &[&str] = &["Authorization", "Accept"];

/// For GET routes of content: a strong `ETag` on what everybody may see, 304 to those who have it already, and cache
/// headers that say for whom an answer is.
pub(super) async fn conditional(request: Request, next: Next) -> Response {
    let asks_for_all = !request.headers().contains_key(header::AUTHORIZATION);
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let held = request.headers().get_all(header::IF_NONE_MATCH).iter().cloned().collect::<Vec<_>>();
    let mut response = next.run(request).await;
    vary::add(response.headers_mut(), VARY);
    if !asks_for_all {
        response.headers_mut().insert(header::CACHE_CONTROL, PRIVATE);
        return response;
    }
    if !reads || response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // A single item has a tag of its state, which is the same for all who may see it.
    let own = parts.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
    let bytes = match to_bytes(body, usize::MAX).await {
        Ok(bytes) => bytes,
        Err(error) => return ApiError::Internal(Box::new(error)).into_response(),
    };
    let tag = own.unwrap_or_else(|| entity_tag(&bytes));
    parts.headers.insert(header::CACHE_CONTROL, PUBLIC);
    if held.iter().any(|header| names(header, &tag)) {
        return not_modified(&parts.headers, &tag);
    }
    if let Ok(value) = HeaderValue::from_str(&tag) {
        parts.headers.insert(header::ETAG, value);
    }
    Response::from_parts(parts, Body::from(bytes))
}

fn not_modified(headers: &HeaderMap, tag: &str) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    for name in [header::CACHE_CONTROL, header::VARY, header::LINK] {
        if let Some(value) = headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    if let Ok(value) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

/// A strong tag: 128 bits of the body's hash. Not a secret, so speed is what matters.
fn entity_tag(body: &[u8]) -> String {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, body).hash(&mut hasher);
        hasher.finish()
    };
    format!("\"{:016x}{:016x}\"", half(0), half(1))
}

/// Whether an `If-None-Match` header names the tag, weakly compared as it should be.
fn names(header: &HeaderValue, tag: &str) -> bool {
    let Ok(text) = header.to_str() else { return false };
    text.split(',').map(str::trim).any(|held| held == "*" || held.strip_prefix("W/").unwrap_or(held) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_follow_the_body() {
        assert_eq!(entity_tag(b"a"), entity_tag(b"a"));
        assert_ne!(entity_tag(b"a"), entity_tag(b"b"));
        assert_eq!(entity_tag(b"").len(), 34);
    }

    #[test]
    fn a_header_may_name_several_tags() {
        let named = |text| names(&HeaderValue::from_static(text), "\"a\"");
        assert!(named("\"a\"") && named("W/\"a\"") && named("\"b\", \"a\"") && named("*"));
        assert!(!named("a") && !named("\"b\"") && !named(""));
    }
}
