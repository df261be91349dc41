//! Writes.

pub(crate) mod ddl;
pub(crate) mod operations;
pub(crate) mod session;
pub(crate) mod writer;
