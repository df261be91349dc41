//! Tracks which writes, of this process and of others, invalidate earlier reads.

/// Follows the store's change feed and its availability.
mod follow;
/// Polls version numbers on a standalone server.
mod polling;
/// The tracker and its state.
mod tracker;

pub use tracker::ChangeTracker;
