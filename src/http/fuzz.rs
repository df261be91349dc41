//! The checks of the fuzz targets of the API.

use axum::body::to_bytes;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use futures_util::FutureExt as _;
use serde_json::Value;

use super::respond::{Body, ResponseBody, Wire};

pub use super::extract::fuzz::multipart_bodies;
pub(crate) use super::extract::fuzz::{assert_page, read_body, read_list_query, read_query};
pub(crate) use super::resources::articles::{ProjectsQuery, StoriesQuery};
pub(crate) use super::resources::health::ReadinessQuery;
pub(crate) use super::resources::navlinks::NavLinksQuery;
pub(crate) use super::resources::sections::SectionsQuery;
pub(crate) use super::resources::trash::TrashQuery;
pub(crate) use super::server::fuzz::exchange;

/// Returns the form of an item for clients. It is JSON, and what `serde_json` writes.
pub(crate) fn response<T: ResponseBody + Clone>(item: &T) -> Value {
    let response = Body(item.clone()).into_response();
    assert_eq!(response.status(), StatusCode::OK);
    let body = to_bytes(response.into_body(), usize::MAX).now_or_never().expect("the body is complete");
    let body = body.expect("the body is complete");
    assert_eq!(body, serde_json::to_vec(&Wire(item.clone())).expect("an item can be serialized"));
    serde_json::from_slice(&body).expect("the body is JSON")
}
