//! The engine on real stores, with toy migrations.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

/// Batches with a cursor.
mod batched;
/// Several runners at once, and what becomes of a lease.
mod concurrency;
/// A store that counts what is asked of it.
mod counting;
/// Failures, and what is said of them.
mod failure;
/// Taking over an earlier tool's ledger.
mod import;
/// Looking without touching.
mod look;
/// How the writes of a migration are made.
mod modes;
/// What an `up` does, and in which order.
mod order;
/// Steps that are wrong in themselves.
mod refused;
/// Each kind of step, there and back.
mod steps;
/// Migrations made of data.
mod toys;
/// Taking back.
mod undo;
/// Migrations of every kind of step.
mod workers;
