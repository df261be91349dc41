/// Going through a collection by its ids.
mod pages;
/// Looking whether what should hold does.
mod reads;
/// The steps that write.
mod steps;
/// Taking back what another tool did.
mod undo_imported;
/// What a migration is given to do its work.
mod up;

/// How many documents one batch changes at the most.
const BATCH: usize = 1000;

pub use reads::Check;
pub(crate) use undo_imported::Pass;
pub use undo_imported::UndoImported;
pub(crate) use up::Attempt;
pub use up::{Inserted, Up};
