//! Reads.

mod plan;
pub(crate) mod read;
pub(crate) mod scan;
