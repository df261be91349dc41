//! Responses with one item, and what else answers a request for one.

use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::body::{Json, ResponseBody, Wire};
use crate::domain::{Revised, Revision, SlugLookup};
use crate::html::Removed;
use crate::http::openapi::operation::{Operation, Output};
use crate::service::Written;

const X_CONTENT_SANITIZED: HeaderName = HeaderName::from_static("x-content-sanitized");
/// The number of names in the header; the others are counted together.
const MAX_NAMES: usize = 20;
const OK: u16 = 200;
const CREATED: u16 = 201;

/// A body without an entity tag.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: ResponseBody> IntoResponse for Body<T> {
    fn into_response(self) -> Response {
        Json(Wire(self.0)).into_response()
    }
}

impl<T: ResponseBody> Output for Body<T> {
    fn describe(operation: &mut Operation) {
        let schema = T::describe(operation);
        operation.json(StatusCode::OK, "Success", schema);
    }
}

/// An item with its entity tag.
pub(crate) struct Item<T, const STATUS: u16 = OK>(Revised<T>);

/// An item that was created.
pub(crate) type Created<T> = Item<T, CREATED>;

impl<T, const STATUS: u16> From<Revised<T>> for Item<T, STATUS> {
    fn from(item: Revised<T>) -> Self {
        Self(item)
    }
}

impl<T: ResponseBody, const STATUS: u16> IntoResponse for Item<T, STATUS> {
    fn into_response(self) -> Response {
        let Self(Revised { item, revision }) = self;
        (status(STATUS), [(header::ETAG, etag(&revision))], Json(Wire(item))).into_response()
    }
}

impl<T: ResponseBody, const STATUS: u16> Output for Item<T, STATUS> {
    fn describe(operation: &mut Operation) {
        let content = Some(("application/json", T::describe(operation)));
        let description = if STATUS == CREATED { "The new item" } else { "The item" };
        operation.response(status(STATUS), description, content, &["ETag"]);
    }
}

/// An item whose content was sanitized when it was written.
pub(crate) struct Sanitized<T, const STATUS: u16 = OK>(Written<T>);

/// An item with sanitized content that was created.
pub(crate) type CreatedSanitized<T> = Sanitized<T, CREATED>;

impl<T, const STATUS: u16> From<Written<T>> for Sanitized<T, STATUS> {
    fn from(written: Written<T>) -> Self {
        Self(written)
    }
}

impl<T: ResponseBody, const STATUS: u16> IntoResponse for Sanitized<T, STATUS> {
    fn into_response(self) -> Response {
        let Self(Written { revised, removed }) = self;
        with_sanitized_header(Item::<T, STATUS>(revised).into_response(), &removed)
    }
}

impl<T: ResponseBody, const STATUS: u16> Output for Sanitized<T, STATUS> {
    fn describe(operation: &mut Operation) {
        Item::<T, STATUS>::describe(operation);
        operation.responses.entry(STATUS).and_modify(|response| {
            response.headers.insert("X-Content-Sanitized");
        });
    }
}

/// The item with a slug, or a redirect to its current slug.
pub(crate) enum ItemAtSlug<T> {
    Item(Item<T>),
    Redirect(Response),
}

impl<T> ItemAtSlug<T> {
    /// Answers a request whose path ends with the slug.
    pub(crate) fn new(uri: &Uri, lookup: SlugLookup<T>) -> Self {
        match lookup {
            SlugLookup::Current(item) => Self::Item(item.into()),
            SlugLookup::Renamed(slug) => {
                let (collection, _) = uri.path().rsplit_once('/').expect("a path begins with a slash");
                Self::Redirect(permanent_redirect(collection, &slug))
            }
        }
    }
}

impl<T: ResponseBody> IntoResponse for ItemAtSlug<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Item(item) => item.into_response(),
            Self::Redirect(response) => response,
        }
    }
}

impl<T: ResponseBody> Output for ItemAtSlug<T> {
    fn describe(operation: &mut Operation) {
        Item::<T>::describe(operation);
        let description = "The item has another slug now, which `Location` names";
        operation.response(StatusCode::MOVED_PERMANENTLY, description, None, &["Location"]);
    }
}

/// An empty response after a deletion. As in the original, its type is JSON.
pub(crate) struct Deleted;

impl IntoResponse for Deleted {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        (StatusCode::NO_CONTENT, [(header::CONTENT_TYPE, json)]).into_response()
    }
}

impl Output for Deleted {
    fn describe(operation: &mut Operation) {
        operation.response(StatusCode::NO_CONTENT, "The item is deleted", None, &[]);
    }
}

/// An empty response after a change of several items.
pub(crate) struct Changed;

impl IntoResponse for Changed {
    fn into_response(self) -> Response {
        Deleted.into_response()
    }
}

impl Output for Changed {
    fn describe(operation: &mut Operation) {
        operation.response(StatusCode::NO_CONTENT, "The items are changed", None, &[]);
    }
}

fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a constant of this module")
}

/// Returns the entity tag of a revision.
pub(crate) fn etag(revision: &Revision) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{revision}\"")).expect("a revision consists of letters and digits")
}

/// Redirects (301) to the current slug of an item. Must not be cached: another item may get the old slug.
fn permanent_redirect(collection: &str, slug: &str) -> Response {
    let location = format!("{collection}/{}", encode_segment(slug));
    let location = HeaderValue::from_str(&location).expect("percent-encoded ASCII is valid in a header");
    (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, location)]).into_response()
}

/// Percent-encodes a path segment. Old documents have slugs of any kind.
fn encode_segment(slug: &str) -> String {
    url::form_urlencoded::byte_serialize(slug.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Adds a header that names the elements and attributes that were removed from the content, with their numbers:
/// `script;1, onclick;2`. Adds none if nothing was removed.
fn with_sanitized_header(mut response: Response, removed: &[Removed]) -> Response {
    if removed.is_empty() {
        return response;
    }
    let (named, others) = removed.split_at(removed.len().min(MAX_NAMES));
    let mut parts: Vec<String> = named.iter().map(ToString::to_string).collect();
    if !others.is_empty() {
        let count = others.iter().map(|removed| removed.count).sum();
        parts.push(Removed { name: "more".to_owned(), count }.to_string());
    }
    let value = HeaderValue::from_str(&parts.join(", ")).expect("names of removed elements are ASCII");
    response.headers_mut().insert(X_CONTENT_SANITIZED, value);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_encoded_as_one_path_segment() {
        let to = |slug| {
            permanent_redirect("/stories/slug", slug).headers()[header::LOCATION].to_str().unwrap().to_owned()
        };
        assert_eq!(to("a-2"), "/stories/slug/a-2");
        assert_eq!(to("a b/../+\r\né"), "/stories/slug/a%20b%2F..%2F%2B%0D%0A%C3%A9");
    }

    #[test]
    fn sanitized_header_is_bounded_and_absent_if_nothing_was_removed() {
        let header = |count: usize| {
            let removed = |n| Removed { name: format!("x{n}"), count: 2 };
            let response =
                with_sanitized_header(().into_response(), &(0..count).map(removed).collect::<Vec<_>>());
            response.headers().get(X_CONTENT_SANITIZED).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(header(0), None);
        assert_eq!(header(2).unwrap(), "x0;2, x1;2");
        assert!(header(23).unwrap().ends_with("x19;2, more;6"));
    }
}
