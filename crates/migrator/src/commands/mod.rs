//! The commands of [`Migrator`](crate::Migrator): each file has one command, or a few that share their work.

/// Accepting the present source of a changed migration.
mod accept_checksum;
/// Lint and conditions.
mod checks;
/// Rolling migrations back.
mod down;
/// The log, and the details of one migration.
mod history;
/// Importing what an earlier tool applied.
mod import;
/// Acquiring the lease, waiting for its holder, and releasing the lease of a dead runner.
mod lock;
/// Manual changes of the ledger: stamp and repair.
mod manual;
/// Checks that the modes of pending migrations are possible.
mod mode_checks;
/// Checks of everything that an `up` needs.
mod preflight;
/// Plans and dry runs of an `up`.
mod preview;
/// Rolling a migration back and applying it again.
mod redo;
/// Rolling everything back, or dropping it, and applying all.
mod reset;
/// From prefixes of ids to ids and positions.
mod resolve;
/// Restoring a backup.
mod restore;
/// The rollback of one migration.
mod rollback;
/// Registrations of serving processes.
mod servers;
/// Status, verify, wait, current.
mod status;
/// Applying what is pending.
mod up;

pub(crate) use accept_checksum::{accept_checksum, checksum_drift};
pub(crate) use checks::{conditions, lint};
pub(crate) use down::{down, plan_down};
pub(crate) use history::{history, show};
pub(crate) use import::import;
pub(crate) use lock::unlock;
pub(crate) use manual::{repair, stamp};
pub(crate) use preflight::preflight;
pub(crate) use preview::{missing_env, plan_up, preview};
pub(crate) use redo::redo;
pub(crate) use reset::reset;
pub use reset::{ResetReport, ResetRequest};
pub(crate) use resolve::resolve_in;
pub(crate) use restore::restore;
pub(crate) use servers::{running_servers, serve_registered};
pub(crate) use status::{current, status, verify, wait};
pub(crate) use up::{require_up, up};
