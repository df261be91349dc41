//! Responses: bodies of JSON, items, lists, and the headers that go with them.

/// Entity tags of items.
pub(crate) mod etag;
/// Bodies of JSON.
mod json;
/// Links from one window of a list to the next.
mod link;
/// Windows of lists.
mod list;
/// The way from an old slug to the new one.
pub(crate) mod redirect;
/// The header that says what was removed from content.
pub(crate) mod sanitized;
/// Instants on the wire.
mod timestamp;
/// The `Vary` header, which several layers add to.
pub(crate) mod vary;

pub(crate) use json::{Json, deleted};
pub(crate) use list::{Envelope, listed};
pub(crate) use timestamp::{naive, serialize_instant, serialize_instant_or_null};
