//! Responses: items, lists, and the headers that go with them. Each type describes itself in the OpenAPI document.

/// JSON bodies, declared field by field.
mod body;
/// Items, and what else answers a request for one.
mod item;
/// Parts of lists.
mod list;

pub(crate) use body::{ResponseBody, WireField, format_naive_timestamp, response, schema_of};
pub(crate) use item::{Body, Changed, Created, CreatedSanitized, Deleted, Item, ItemAtSlug, Sanitized, etag};
pub(crate) use list::List;
