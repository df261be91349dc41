//! The commands of [`Migrator`](crate::Migrator), one file each.

/// Accepting the present source of a changed migration.
mod accept_checksum;
/// Lint, conditions and drift.
mod checks;
/// Rolling back.
mod down;
/// The log of what was done, and the details of one migration.
mod history;
/// Importing what an earlier tool applied.
mod import;
/// Acquiring the lease, or waiting for its holder.
mod lock;
/// Manual changes of the ledger: stamp, repair, unlock.
mod manual;
/// Checks that the modes of pending migrations are possible.
mod mode_checks;
/// Checks of everything that an `up` needs.
mod preflight;
/// Plans and dry runs of an `up`.
mod preview;
/// Rolling one migration back and applying it again.
mod redo;
/// Rolling everything back, or dropping it, and applying all.
mod reset;
/// From ids and prefixes to positions in the graph.
mod resolve;
/// Restoring a backup.
mod restore;
/// Rolling back one migration.
mod rollback;
/// Reads only: status, verify, wait, current.
mod status;
/// Applying what is pending.
mod up;

pub use reset::{ResetReport, ResetRequest};
