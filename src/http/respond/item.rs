use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::Json;
use super::body::{ResponseBody, Wire};
use super::etag::etag;
use super::redirect::permanent_redirect;
use super::sanitized::with_sanitized_header;
use crate::domain::Revised;
use crate::http::openapi::operation::{Operation, Output};
use crate::service::{SlugLookup, Written};

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

fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a constant of this module")
}
