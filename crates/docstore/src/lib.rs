//! A document store behind one port, with two engines.
//!
//! Everything above this crate, migrations included, is written once against [`Database`] and [`Collection`] and runs
//! on either engine:
//!
//! - [`mongo`]: a MongoDB server, through the official driver;
//! - [`embedded`]: one SQLite file in this process.
//!
//! Filters, updates, sorts and indexes are typed values, so input from outside can only ever become a *value* in
//! them, never an operator. Values compare and sort in MongoDB's BSON order on both engines.

/// Change feeds: what was written, as it happens.
mod change;
/// Handles to one collection, and cursors over what it holds.
mod collection;
/// Handles to a database and to a transaction.
mod database;
/// The embedded engine: BSON documents in one SQLite file.
pub mod embedded;
/// The port: what an engine has to offer.
pub mod engine;
/// What can go wrong, the same for both engines.
mod error;
/// What is known of the server behind a database.
mod facts;
/// Names of fields, never made of user input by accident.
mod field;
/// Which documents are meant.
mod filter;
/// Declared indexes, and how they are made so.
mod index;
/// Leases with fencing tokens.
mod lease;
/// The MongoDB engine: a thin translation to the official driver.
pub mod mongo;
/// Filters, updates and indexes in the words of MongoDB.
mod mql;
/// Sort, window and projection of a read.
mod query;
/// Which collections were written, and what was read of them.
mod revisions;
/// Work that is not given up.
mod seen_through;
/// What a collection is besides its documents.
mod shape;
/// Definitions of indexes and validators as documents.
mod spec;
/// What is changed in a document.
mod update;
/// Care of a store as a whole: shapes, copies, scratch databases, rights, space.
mod upkeep;
/// What documents have to satisfy.
mod validator;

pub use bson;
pub use change::{Change, ChangeFeed, ChangeKind};
pub use collection::{Collection, Cursor};
pub use database::{Database, Store, Transaction};
pub use error::{Error, Result};
pub use facts::{EngineKind, ServerFacts, Topology};
pub use field::Field;
pub use filter::Filter;
pub use index::{Ensured, Index, IndexField};
pub use lease::{Lease, LeaseHolder, LeaseRequest};
pub use query::{Direction, Find, FindAndUpdate, Plan, Projection, Sort};
pub use revisions::{ReadLog, Reads, Revisions, Trust, WriteLog, reads_of};
pub use seen_through::see_through;
pub use shape::Shape;
pub use update::{Update, UpdateOp, UpdateResult, Write, WriteResult};
pub use upkeep::{Rights, Scratch, Space};
pub use validator::{ValidationAction, ValidationLevel, Validator};
