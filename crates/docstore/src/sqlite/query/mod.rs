//! Reads.

pub(crate) mod bounds;
pub(crate) mod cursor;
pub(crate) mod matching;
pub(crate) mod plan;
pub(crate) mod project;
pub(crate) mod readers;
pub(crate) mod scan;
