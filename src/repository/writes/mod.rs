//! Writes: creating and updating entities, unique slugs, soft deletion.

/// Creates and updates entities with optimistic concurrency control.
mod create_update;
/// Reserves, renames and releases unique slugs.
mod slugs;
/// Lists, restores and purges deleted entities.
mod trash;

pub(super) use create_update::VERSION;
pub use create_update::{Change, New, Versioned};
pub use slugs::SlugReservation;
pub(super) use slugs::{SLUG_HISTORY, slug_history_indexes};
