//! The OpenAPI document. Operations come from the route table: extractors and response types describe their parts, and
//! the columns of a row add what follows from them.

/// The document and its operations.
mod document;
/// Error responses.
mod errors;
/// Response headers.
pub(crate) mod headers;
/// Operations, as handlers' signatures describe them.
pub(crate) mod operation;
/// Schemas of fields.
pub(crate) mod schema;

pub(crate) use document::document;
