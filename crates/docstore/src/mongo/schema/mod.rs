//! Collections, indexes and validators.

pub(crate) mod collections;
pub(crate) mod indexes;
pub(crate) mod validators;
