//! Lists: queries, their order, cursors and totals.

/// Signed cursors.
pub(super) mod cursor;
/// The fuzz target of cursors.
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
/// List orders and the indexes that support them.
pub(super) mod order;
/// Runs list queries, by offset or by cursor.
mod query;
/// Counts of filters, kept between requests.
pub(super) mod totals;
