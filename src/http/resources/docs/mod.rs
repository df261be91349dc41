//! A page on which people read the OpenAPI document and try it. Everything it needs is in the binary.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

/// The page runs its one script and asks this server; nothing else.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 2] =
        [(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (header::CONTENT_SECURITY_POLICY, POLICY)];
    (headers, text).into_response()
}

/// Read this document, and try it
#[utoipa::path(get, path = "/docs", operation_id = "docs", responses(
    (status = 200, description = "A page for a browser", body = String, content_type = "text/html"),
))]
pub(crate) async fn page() -> Response {
    file("text/html; charset=utf-8", include_str!("page.html"))
}

/// Fetch the script of the page
#[utoipa::path(get, path = "/docs/script.js", operation_id = "docs_script", responses(
    (status = 200, description = "A script", body = String, content_type = "text/javascript"),
))]
pub(crate) async fn script() -> Response {
    file("text/javascript; charset=utf-8", include_str!("script.js"))
}

/// Fetch the style of the page
#[utoipa::path(get, path = "/docs/style.css", operation_id = "docs_style", responses(
    (status = 200, description = "A style sheet", body = String, content_type = "text/css"),
))]
pub(crate) async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("style.css"))
}
