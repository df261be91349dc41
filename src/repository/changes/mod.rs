//! Tracks which writes, of this process and of others, invalidate earlier reads.

/// Learns of other processes' writes from the store's change feed.
mod change_stream;
/// Follows other processes' writes and the store's availability.
mod follow;
/// Learns of other processes' writes by polling version numbers, on a standalone server.
mod polling;
/// Decides whether a result of earlier reads is still valid.
mod tracker;

pub use tracker::ChangeTracker;
