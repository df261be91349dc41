//! Runs one migration: the session that holds the lease, the attempt, and the steps that write in batches.

/// One attempt at a migration.
mod attempt;
/// The size of a batch.
mod batch_sizer;
/// Walks a collection in batches.
mod batches;
/// Changes, deletes and copies the documents of a range.
mod change;
/// Runs a migration up to its entry in the ledger, as its mode says.
mod execute;
/// Positions in a collection that is read in the order of its ids, and in the steps of a migration.
mod id_scan;
/// Inserts documents.
mod insert;
/// The lease of the running process, with its heartbeat.
mod lease;
/// The sink that writes.
mod live;
/// Batches of writes, in transactions where the store has them.
mod session;
/// Rolls back a run of another tool.
mod undo_imported;
/// The interfaces that a migration reads and writes through.
mod up;

pub use attempt::Inserted;
pub(crate) use attempt::{Attempt, StepOutcome};
pub(crate) use execute::execute;
pub(crate) use id_scan::Progress;
pub(crate) use lease::HeldLease;
pub(crate) use live::LiveSink;
pub(crate) use session::{Batch, RunGuard, RunSession, Runner, Scope};
pub(crate) use undo_imported::ImportedUndoPass;
pub use undo_imported::UndoImported;
pub use up::{Check, Up};
