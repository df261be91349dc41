//! Reads.

pub(crate) mod explain;
pub(crate) mod find;
pub(crate) mod seek;
