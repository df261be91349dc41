//! Responses: items, lists, and the headers that go with them. Each type describes itself in the OpenAPI document.

/// JSON bodies, declared field by field.
mod body;
/// Entity tags.
mod etag;
/// Items, and what else answers a request for one.
mod item;
/// Serialization to JSON.
mod json;
/// Links from one part of a list to the next.
mod link;
/// Parts of lists.
mod list;
/// Redirects from an old slug to the current one.
mod redirect;
/// The header that lists what was removed from content.
mod sanitized;
/// Timestamps in responses.
mod timestamp;
/// The `Vary` header.
pub(crate) mod vary;

pub(crate) use body::{ResponseBody, WireField, response, schema_of};
pub(crate) use etag::etag;
pub(crate) use item::{Body, Created, CreatedSanitized, Deleted, Item, ItemAtSlug, Sanitized};
pub(crate) use json::Json;
pub(crate) use list::List;
pub(crate) use timestamp::format_naive_timestamp;
