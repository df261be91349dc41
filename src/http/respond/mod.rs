//! Responses: items, lists, and the headers that go with them. Each type describes itself in the OpenAPI document.

#[cfg(any(test, fuzzing))]
pub(crate) use item::Wire;
/// Files.
mod file;
/// Items in their JSON form, and the responses with one of them.
mod item;
/// Parts of lists.
mod list;

pub(crate) use file::{FileRequest, Selection, SendBudget, file_headers, file_response};
pub(crate) use item::{
    Array, Body, Changed, Created, CreatedSanitized, Deleted, Item, ItemAtSlug, NaiveTime, Nested,
    ResponseBody, Sanitized, WireField, WireValue, etag, format_naive_timestamp, format_timestamp, response,
    schema_of,
};
pub(crate) use list::List;
