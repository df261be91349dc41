//! Handles to databases, collections, transactions and leases.

mod capabilities;
mod changes;
mod collection;
mod database;
mod error;
mod lease;

pub use capabilities::{EngineKind, Problem, Rights, ServerFacts, Space, Topology};
pub use changes::{Change, ChangeFeed};
pub use collection::{Collection, Cursor};
pub use database::{Database, Scratch, Store, Transaction};
pub use error::{Error, Result};
pub use lease::{Lease, LeaseHolder, LeaseRequest};
