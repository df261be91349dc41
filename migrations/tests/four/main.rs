//! The four migrations on real stores.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

/// One by one.
mod each;
/// What the original left behind.
mod fixtures;
/// Taking over a database that the original made.
mod takeover;
/// On scratch databases, with crashes.
mod trial;
/// Up, down, and up again.
mod undo;
