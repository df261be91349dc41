//! The documentation page: the OpenAPI document, readable and interactive. Everything it needs is in the binary.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::http::openapi::operation::Operation;

/// The page runs its own script and sends requests to this server only.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 2] =
        [(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (header::CONTENT_SECURITY_POLICY, POLICY)];
    (headers, text).into_response()
}

/// Describes a file of the page.
pub(crate) fn describe(operation: &mut Operation, media_type: &'static str) {
    let content = Some((media_type, json!({ "type": "string" })));
    operation.response(StatusCode::OK, "The file", content, &[]);
}

/// Describes the OpenAPI document.
pub(crate) fn describe_document(operation: &mut Operation) {
    operation.json(StatusCode::OK, "An OpenAPI 3.1 document", json!({ "type": "object" }));
}

pub(crate) async fn page() -> Response {
    file("text/html; charset=utf-8", include_str!("page.html"))
}

pub(crate) async fn script() -> Response {
    file("text/javascript; charset=utf-8", include_str!("script.js"))
}

pub(crate) async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("style.css"))
}
