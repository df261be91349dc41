//! Writes.

pub(crate) mod bulk;
pub(crate) mod operations;
pub(crate) mod transaction;
