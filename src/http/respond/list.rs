//! Parts of lists, with links from one part to the next.

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::item::{Json, ResponseBody, Wire};
use crate::domain::{CursorPage, Listing, Window};
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
        let links = links(uri, window, total, cursor_page.as_ref());
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

/// Builds the `Link` header of a list: `first`, `prev` and `next`. With a cursor there is no `prev`.
fn links(uri: &Uri, window: Window, total: u64, cursor_page: Option<&CursorPage>) -> HeaderMap {
    let Window { limit, offset } = window;
    let at = |offset: u64, relation| link(uri, limit, ("offset", &offset.to_string()), relation);
    let mut all = Vec::new();
    if let Some(CursorPage { next }) = cursor_page {
        all.push(link(uri, limit, ("cursor", ""), "first"));
        all.extend(next.as_ref().map(|cursor| link(uri, limit, ("cursor", cursor), "next")));
    } else {
        all.push(at(0, "first"));
        if offset > 0 {
            all.push(at(offset.saturating_sub(limit), "prev"));
        }
        if offset.saturating_add(limit) < total {
            all.push(at(offset + limit, "next"));
        }
    }
    let links = HeaderValue::from_str(&all.join(", ")).expect("percent-encoded ASCII is valid in a header");
    HeaderMap::from_iter([(header::LINK, links)])
}

/// Builds a link to another position in the list; the other parameters stay the same.
fn link(uri: &Uri, limit: u64, position: (&str, &str), relation: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        if !["limit", "offset", "cursor"].contains(&&*name) {
            query.append_pair(&name, &value);
        }
    }
    query.append_pair("limit", &limit.to_string()).append_pair(position.0, position.1);
    format!("<{}?{}>; rel=\"{relation}\"", uri.path(), query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window_links(uri: &'static str, offset: u64, total: u64) -> String {
        let headers = super::links(&Uri::from_static(uri), Window { limit: 2, offset }, total, None);
        headers[header::LINK].to_str().unwrap().to_owned()
    }

    #[test]
    fn windows_link_to_the_previous_and_next_one() {
        assert_eq!(window_links("/s", 0, 2), r#"</s?limit=2&offset=0>; rel="first""#);
        assert_eq!(
            window_links("/s?nav_visibility=main&offset=3&limit=2", 3, 6),
            concat!(
                r#"</s?nav_visibility=main&limit=2&offset=0>; rel="first", "#,
                r#"</s?nav_visibility=main&limit=2&offset=1>; rel="prev", "#,
                r#"</s?nav_visibility=main&limit=2&offset=5>; rel="next""#
            )
        );
    }

    #[test]
    fn cursor_pages_link_to_the_first_and_next_one() {
        let links = |next: Option<&str>| {
            let cursor_page = CursorPage { next: next.map(str::to_owned) };
            let uri = Uri::from_static("/s?cursor=abc&section_id=x&limit=2");
            let headers = super::links(&uri, Window { limit: 2, offset: 4 }, 9, Some(&cursor_page));
            headers[header::LINK].to_str().unwrap().to_owned()
        };
        let first = r#"</s?section_id=x&limit=2&cursor=>; rel="first""#;
        assert_eq!(links(None), first);
        assert_eq!(
            links(Some("d-f")),
            format!(r#"{first}, </s?section_id=x&limit=2&cursor=d-f>; rel="next""#)
        );
    }

    #[test]
    fn parameters_are_encoded_in_links() {
        let link = window_links("/s?x=%3E%3B%0d%0aSet-Cookie:%20a", 0, 1);
        assert_eq!(link, r#"</s?x=%3E%3B%0D%0ASet-Cookie%3A+a&limit=2&offset=0>; rel="first""#);
    }
}
