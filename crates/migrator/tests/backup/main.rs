//! Backups of real stores, on a real disk.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

/// Failures of a backup: a full disk, a limit, a damaged file.
mod faults;
/// Writers and restorers that are killed.
mod kill;
/// Backups before a run.
mod policy;
/// Checks before an `up`.
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
