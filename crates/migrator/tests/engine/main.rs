//! The engine on real stores, with toy migrations.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

/// Taking back as much as is asked for.
mod back;
/// Batches with a cursor.
mod batched;
/// Checksums of what was applied.
mod checksums;
/// Several runners at once, and what becomes of a lease.
mod concurrency;
/// What should hold, looked at again.
mod conditions;
/// A store that counts what is asked of it.
mod counting;
/// Migrations that are all data.
mod declared;
/// Declared steps, there and back.
mod declared_steps;
/// What the database has, against what is declared.
mod drift;
/// Failures, and what is said of them.
mod failure;
/// What the ledger is told by hand.
mod hand;
/// What was done, and by whom.
mod history;
/// Taking over an earlier tool's ledger.
mod import;
/// The rules, each with what trips it.
mod lint;
/// The rules that look at the data.
mod lint_data;
/// Looking without touching.
mod look;
/// How the writes of a migration are made.
mod modes;
/// What an `up` does, and in which order.
mod order;
/// Plans that write nothing.
mod preview;
/// Steps that are wrong in themselves.
mod refused;
/// Applying as much as is asked for, where it may be.
mod server_validator;
/// Each kind of step, there and back.
mod steps;
/// Ends that are neither good nor bad: told to stop, out of time, undecided.
mod stop;
mod target;
/// Migrations made of data.
mod toys;
/// Taking back.
mod undo;
/// Migrations of every kind of step.
mod workers;
