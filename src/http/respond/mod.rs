//! Responses: bodies of JSON, items, lists, and the headers that go with them.

/// Entity tags of items.
mod etag;
/// Bodies of JSON.
mod json;
/// Links from one window of a list to the next.
mod link;
/// Windows of lists.
mod list;
/// The way from an old slug to the new one.
mod redirect;
/// The header that says what was removed from content.
mod sanitized;
/// Instants on the wire.
mod timestamp;
/// The `Vary` header, which several layers add to.
pub(crate) mod vary;

pub(crate) use etag::etag;
pub(crate) use json::{Json, item_response, no_content};
pub(crate) use list::{Envelope, list_response};
pub(crate) use redirect::permanent_redirect;
pub(crate) use sanitized::with_sanitized_header;
pub(crate) use timestamp::{format_naive_timestamp, serialize_optional_timestamp, serialize_timestamp};
