//! Every operation of the port, on both engines.

/// Who goes away while waiting for the store.
mod abandoned;
/// Batches, inserts, their positions and their limits.
mod batches;
/// Change feeds.
mod changes;
/// Filters, sorts, windows and projections.
mod finding;
/// Indexes: made, listed, dropped, in conflict, used, violated.
mod indexes;
/// Leases.
mod leases;
/// What was read holds until it is written.
mod revisions;
/// Collections, facts, closing.
mod stores;
/// Transactions.
mod transactions;
/// Updates of every kind.
mod updating;
/// Shapes, raw documents, other names, scratch databases, rights and space.
mod upkeep;
/// Validators.
mod validators;
/// Reading on from a position.
mod walking;
