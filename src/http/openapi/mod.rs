//! The OpenAPI document: annotations beside handlers and wire types, and what the table of routes knows.

/// What the table of routes knows about every operation.
mod complete;
/// Answers that are errors.
mod errors;
/// Headers of answers.
mod headers;
/// Schemas that resources share.
pub(crate) mod schema;

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use utoipa::OpenApi;

use super::middleware::access_log;
use super::resources::{docs, health, me, navlinks, pages, projects, sections, stories, trash};

/// What is said beside handlers and wire types.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Field Notes",
        description = "The content of Field Notes: stories, projects, pages, the sections and links that lead to them. \
            Beside the headers that are described, every answer has those that browsers heed: \
            `Content-Security-Policy`, `Referrer-Policy`, `X-Content-Type-Options`, `X-Frame-Options`, and those of \
            CORS for the origins of the frontend."
    ),
    paths(
        health::index, health::health, health::readyz, health::warmup,
        docs::page, docs::script, docs::style, serve,
        me::show,
        stories::list, stories::create, stories::show, stories::update, stories::delete, stories::show_by_slug,
        projects::list, projects::create, projects::show, projects::update, projects::delete, projects::show_by_slug,
        pages::show, pages::put, pages::delete,
        navlinks::list, navlinks::create, navlinks::show, navlinks::update, navlinks::delete,
        sections::list, sections::create, sections::show, sections::update, sections::delete, sections::show_by_slug,
        trash::list, trash::restore,
    ),
    components(schemas(access_log::ErrorBody<'static>)),
)]
struct Annotated;

static RENDERED: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(text()));

/// The document as it is served and kept: indented, with a line feed at its end.
pub fn text() -> String {
    format!("{:#}\n", document())
}

fn document() -> Value {
    // Annotations are texts, numbers and maps with texts as keys: JSON can hold all of them.
    let mut document = serde_json::to_value(Annotated::openapi()).unwrap_or_default();
    complete::complete(&mut document);
    document
}

/// Show this document
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", responses(
    (status = 200, description = "An OpenAPI 3.1 document", body = Object),
))]
pub(crate) async fn serve() -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], RENDERED.clone()).into_response()
}
