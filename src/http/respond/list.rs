use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Json, link};
use crate::domain::Listing;

/// A list on the wire.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = List)]
pub(crate) struct Envelope<T> {
    pub(crate) items: Vec<T>,
    /// How many there are, beyond this window.
    pub(crate) total: u64,
    pub(crate) limit: u64,
    pub(crate) offset: u64,
}

impl<T> Envelope<T> {
    /// Puts each item into its wire form.
    pub(crate) fn from_listing<D>(listing: Listing<D>, body: impl FnMut(D) -> T) -> Self {
        let Listing { items, total, window, cursor_page: _ } = listing;
        let items = items.into_iter().map(body).collect();
        Self { items, total, limit: window.limit, offset: window.offset }
    }
}

/// The answer to a request for a list, with links to the windows around this one.
pub(crate) fn list_response<D, T: Serialize>(
    uri: &Uri,
    listing: Listing<D>,
    body: impl FnMut(D) -> T,
) -> Response {
    let links = link::header(uri, listing.window, listing.total, listing.cursor_page.as_ref());
    (links, Json(Envelope::from_listing(listing, body))).into_response()
}
