//! Reads.

mod plan;
mod project;
pub(crate) mod read;
pub(crate) mod scan;
