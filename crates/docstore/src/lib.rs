//! A document store behind one port, with two engines.
//!
//! Everything above this crate, migrations included, is written once against [`Database`] and [`Collection`] and runs
//! on either engine:
//!
//! - [`mongo`]: a MongoDB server, through the official driver;
//! - [`sqlite`]: one SQLite file in this process.
//!
//! Filters, updates, sorts and indexes are typed values, so input from outside can only ever become a *value* in
//! them, never an operator. Values compare and sort in MongoDB's BSON order on both engines.

/// The port that an engine implements.
pub mod engine;
/// Filters, updates and projections applied to documents.
mod eval;
/// An engine in memory, for tests and simulations.
pub mod memory;
/// Filters, updates, reads and indexes as values.
mod model;
/// The MongoDB engine: a thin translation to the official driver.
pub mod mongo;
/// MongoDB's order of BSON values, and field paths.
mod order;
/// The SQLite engine: BSON documents in one file.
pub mod sqlite;
/// Handles to databases, collections, transactions and leases.
mod store;
/// Tracking of reads and writes by collection.
mod tracking;

pub use bson;
pub use model::{
    CollectionOptions, Direction, Ensured, Field, Filter, Find, Index, Plan, Projection, Sort, Update,
    UpdateOp, UpdateResult, Write,
};
pub use store::{
    Change, ChangeFeed, Collection, Cursor, Database, EngineKind, Error, Lease, LeaseHolder, LeaseRequest,
    Problem, Result, Rights, Scratch, ServerFacts, Space, Store, Topology, Transaction,
};
pub use tracking::{
    CollectionVersions, ReadSet, ReadTracker, StalenessBound, WriteLog, run_to_completion, track_reads,
};
