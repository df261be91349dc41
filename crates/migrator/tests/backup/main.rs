//! Backups of real stores, on a real disk.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

/// What stands in the way of a backup: a full disk, a cap, a damaged file.
mod faults;
/// Writers and restorers that are killed.
mod kill;
/// What is done before a run.
mod policy;
/// What an `up` needs, and whether it is there.
mod preflight;
/// To the beginning, and up again.
mod reset;
/// Backups that runs take, and what putting them back does to the ledger.
mod run;
/// A site to back up, and what is compared of it.
mod site;
/// Migrations that say of themselves what a test wants.
mod toys;
/// There and back again.
mod whole;
