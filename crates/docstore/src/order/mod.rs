//! MongoDB's order of BSON values, and field paths.

/// Index keys and sort keys of a document.
pub(crate) mod index_keys;
/// Order-preserving encoding of values.
pub(crate) mod key_encoding;
/// Dotted field paths.
pub(crate) mod paths;
