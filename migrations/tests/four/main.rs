//! The four migrations on both engines.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

/// Rollback of the migrations.
mod down;
/// Test data.
mod fixtures;
/// Import of a database that the original created.
mod import;
/// A database that the first release migrated.
mod released;
/// Round trips on scratch databases, with crashes.
mod round_trip;
/// Application of the migrations.
mod up;
