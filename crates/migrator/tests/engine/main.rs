//! The engine on real stores, with toy migrations.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

/// Batches with a cursor.
mod batched;
/// Checksums of what was applied.
mod checksums;
/// Several runners at once, and what becomes of a lease.
mod concurrency;
/// Conditions, checked again.
mod conditions;
/// A store that counts what is asked of it.
#[expect(dead_code, reason = "tests of the API use the rest")]
mod counting;
/// Migrations that are all data.
mod declared;
/// Declared steps, there and back.
mod declared_steps;
/// Targets of `down` and `redo`.
mod down;
/// Drift of indexes.
mod drift;
/// Failures, and what is said of them.
mod failure;
/// The log and its authors.
mod history;
/// Taking over an earlier tool's ledger.
mod import;
/// Migrations with steps that are refused.
mod invalid_steps;
/// The rules, each with what trips it.
mod lint;
/// The rules that look at the data.
mod lint_data;
/// Manual changes of the ledger.
mod manual_changes;
/// Modes of migrations.
mod modes;
/// The order of an `up`.
mod order;
/// Panics in the code of migrations.
mod panics;
/// Plans that write nothing.
mod preview;
/// Commands that only read.
mod read_only;
/// Applying as much as is asked for, where it may be.
mod server_validator;
/// Each kind of step, there and back.
mod steps;
/// Runs that end early: stopped, out of time, awaiting a decision.
mod stop;
mod target;
/// Migrations made of data.
mod toys;
/// Taking back.
mod undo;
/// Migrations of every kind of step.
mod workers;
