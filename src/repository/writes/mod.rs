//! Writes: creating and updating entities, reserving slugs, soft deletion.

/// Creates and updates entities with optimistic concurrency control.
mod create_update;
/// The history of renamed slugs.
pub(super) mod slug_history;
/// Unique slugs, reserved without races.
mod slugs;
/// Listing, restoring and purging deleted entities.
mod trash;

pub(super) use create_update::VERSION;
pub use create_update::{Versioned, Writable};
pub use slugs::{SlugReservation, Sluggable};
pub use trash::SoftDelete;
