//! MongoDB's order of BSON values, and field paths.

/// The keys of a document in an index or a sort.
pub(crate) mod index_keys;
/// An encoding of values that sorts bytewise in their order.
pub(crate) mod key_encoding;
/// How a document is laid out.
mod layout;
/// Dotted field paths.
pub(crate) mod paths;
