//! Reads.

pub(crate) mod matching;
mod plan;
mod project;
pub(crate) mod read;
pub(crate) mod scan;
