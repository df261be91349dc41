//! The engine on real stores, with toy migrations.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

/// Taking back as much as is asked for.
mod back;
/// Several runners at once, and what becomes of a lease.
mod concurrency;
/// A store that counts what is asked of it.
mod counting;
/// Failures, and what is said of them.
mod failure;
/// What the ledger is told by hand.
mod hand;
/// What was done, and by whom.
mod history;
/// Taking over an earlier tool's ledger.
mod import;
/// Looking without touching.
mod look;
/// What an `up` does, and in which order.
mod order;
/// Steps that are wrong in themselves.
mod refused;
/// Each kind of step, there and back.
mod steps;
/// Ends that are neither good nor bad: told to stop, out of time, undecided.
mod stop;
/// Applying as much as is asked for, where it may be.
mod target;
/// Migrations made of data.
mod toys;
/// Taking back.
mod undo;
/// Migrations of every kind of step.
mod workers;
