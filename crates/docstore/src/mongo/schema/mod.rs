//! Collections and indexes.

pub(crate) mod collections;
pub(crate) mod indexes;
