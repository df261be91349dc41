//! Writes: creating and updating entities, unique slugs, soft deletion.

/// Creates and updates entities with optimistic concurrency control.
mod create_update;
/// Reserves, renames and releases unique slugs.
mod slugs;
/// Lists, restores and purges deleted entities.
mod trash;

pub use create_update::{Change, New};
pub(super) use slugs::{is_marked_deleted, placeholder};
pub(super) use trash::{deleted_until, deleted_with_id};
