//! Handles to databases, collections, transactions and leases.

/// Operations on a database as a whole.
mod admin;
mod capabilities;
mod changes;
mod collection;
mod database;
mod error;
mod lease;
mod run_to_completion;

pub use admin::{Rights, Scratch, Space};
pub use capabilities::{EngineKind, ServerFacts, Topology};
pub use changes::{Change, ChangeFeed};
pub use collection::{Collection, Cursor};
pub use database::{Database, Store, Transaction};
pub use error::{Error, Result};
pub use lease::{Lease, LeaseHolder, LeaseRequest};
pub use run_to_completion::run_to_completion;
