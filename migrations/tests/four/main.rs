//! The four migrations on real stores.

/// One by one.
mod each;
/// What the original left behind.
mod fixtures;
/// Taking over a database that the original made.
mod takeover;
/// Up, down, and up again.
mod undo;
