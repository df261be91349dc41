//! Every operation of the port, on both engines.

/// Who goes away while waiting for the store.
mod abandoned;
/// Shapes, raw documents, other names, scratch databases, rights and space.
mod admin;
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
/// Validators of a MongoDB server.
mod server_validators;
/// Collections, facts, closing.
mod stores;
/// What was read holds until it is written.
mod tracking;
/// Transactions.
mod transactions;
/// Updates of every kind.
mod updating;
/// Reading on from a position.
mod walking;
