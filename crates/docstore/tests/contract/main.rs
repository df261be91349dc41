//! Every operation of the port, on both engines.

/// Callers that are dropped while waiting for the store.
mod abandoned;
/// Collection options, raw documents, renames, scratch databases, rights and space.
mod admin;
/// Batches, inserts, failure positions and limits.
mod batches;
/// Change feeds.
mod changes;
/// Filters, sorts, windows and projections.
mod finding;
/// Indexes: create, list, drop, conflicts, use and violations.
mod indexes;
/// Leases.
mod leases;
/// Validators of a MongoDB server.
mod server_validators;
/// Collections, facts, closing.
mod stores;
/// Read sets and their invalidation.
mod tracking;
/// Transactions.
mod transactions;
/// Updates.
mod updating;
/// Reads after a position.
mod walking;
