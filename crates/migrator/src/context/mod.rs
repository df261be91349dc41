/// One attempt at a migration.
mod attempt;
/// A migration from its begin to its entry in the ledger, as its mode says.
mod carry_out;
/// Going through a collection by its ids.
mod pages;
/// How far the steps of a migration have come.
mod progress;
/// Looking whether what should hold does.
mod reads;
/// The side of a migration's steps that writes.
mod run;
/// Taking back what another tool did.
mod undo_imported;
/// What a migration is given to do its work.
mod up;
/// What one step does, as a value.
mod work;

pub(crate) use attempt::Attempt;
pub(crate) use carry_out::{CarriedOut, carry_out, refuse_mode};
pub(crate) use progress::Progress;
pub use reads::Check;
pub(crate) use run::Real;
pub(crate) use undo_imported::Pass;
pub use undo_imported::UndoImported;
pub use up::{Inserted, Up};
pub(crate) use work::{Change, Outcome, Work};
