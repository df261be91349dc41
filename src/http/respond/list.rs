use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::body::{ResponseBody, Wire};
use super::{Json, link};
use crate::domain::Listing;
use crate::http::openapi::operation::{Operation, Output};

/// A part of a list, with links to its neighbors.
pub(crate) struct List<T> {
    links: HeaderMap,
    envelope: Envelope<T>,
}

#[derive(Serialize)]
#[serde(bound = "T: ResponseBody")]
struct Envelope<T> {
    items: Vec<Wire<T>>,
    total: u64,
    limit: u64,
    offset: u64,
}

impl<T> List<T> {
    /// Answers a request for a list.
    pub(crate) fn new<I: Into<T>>(uri: &Uri, listing: Listing<I>) -> Self {
        let Listing { items, total, window, cursor_page } = listing;
        let links = link::headers(uri, window, total, cursor_page.as_ref());
        let items = items.into_iter().map(|item| Wire(item.into())).collect();
        Self { links, envelope: Envelope { items, total, limit: window.limit, offset: window.offset } }
    }
}

impl<T: ResponseBody> IntoResponse for List<T> {
    fn into_response(self) -> Response {
        (self.links, Json(self.envelope)).into_response()
    }
}

impl<T: ResponseBody> Output for List<T> {
    fn describe(operation: &mut Operation) {
        let item = T::describe(operation);
        let mut number = json!({ "type": "integer", "format": "int64", "minimum": 0 });
        let (limit, offset) = (number.clone(), number.clone());
        number["description"] = json!("Number of items in the whole list.");
        let schema = json!({
            "description": "A part of a list.",
            "type": "object",
            "properties": {
                "items": { "type": "array", "items": item }, "total": number, "limit": limit, "offset": offset,
            },
            "required": ["items", "total", "limit", "offset"],
        });
        let list = operation.component(&format!("List_{}", T::NAME), schema);
        let content = Some(("application/json", list));
        operation.response(StatusCode::OK, "A part of the list, in its order", content, &["Link"]);
    }
}
