//! Runs one migration: the session that holds the lease, the attempt, and the steps that write in batches.

/// One attempt at a migration.
mod attempt;
/// The size of a batch.
mod batch_sizer;
/// Walks a collection in batches.
mod batches;
/// Changes fields.
mod change;
/// The reads that a post-condition makes.
mod check;
/// Copies documents.
mod copy;
/// Deletes documents.
mod delete;
/// Runs a migration up to its entry in the ledger, as its mode says.
mod execute;
/// The limits that may end a run between two batches.
mod guard;
/// Reads a collection in the order of its ids.
mod id_scan;
/// Creates and drops indexes.
mod index;
/// Inserts documents.
mod insert;
/// The lease of the running process, with its heartbeat.
mod lease;
/// The sink that writes.
mod live;
/// The position of a batched migration.
mod progress;
/// Batches of writes, in transactions where the store has them.
mod session;
/// Rolls back a run of another tool.
mod undo_imported;
/// The interface that a migration writes through.
mod up;

pub use attempt::Inserted;
pub(crate) use attempt::{Attempt, StepOutcome};
pub use check::Check;
pub(crate) use execute::{UpOutcome, execute, refuse_mode};
pub(crate) use guard::RunGuard;
pub(crate) use lease::HeldLease;
pub(crate) use live::LiveSink;
pub(crate) use progress::Progress;
pub(crate) use session::{Batch, RunSession, Runner, Scope};
pub(crate) use undo_imported::ImportedUndoPass;
pub use undo_imported::UndoImported;
pub use up::Up;
