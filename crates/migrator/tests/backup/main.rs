//! Backups of real stores, on a real disk.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

/// What stands in the way of a backup: a full disk, a cap, a damaged file.
mod faults;
/// Writers and restorers that are killed.
mod kill;
/// What is done before a run.
mod policy;
/// A site to back up, and what is compared of it.
mod site;
/// There and back again.
mod whole;
