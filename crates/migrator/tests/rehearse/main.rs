//! Rehearsals and trials on real stores.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

/// A copy is migrated, and the original is left alone.
mod rehearsal;
/// Sound migrations pass, and each kind of unsound one is found out.
mod round_trip;
/// Migrations made of closures' worth of data.
mod toys;
