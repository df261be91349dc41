//! The engine in memory: nothing is written to a disk, and every operation ends without waiting for anything but an open
//! transaction.
//!
//! It is for tests and simulations. It answers as the other engines do, which the differential test checks; reads scan
//! whole collections.

/// The port.
mod engine;
/// Documents, their indexes, and the operations on them.
mod state;

use std::sync::Arc;

use crate::Database;
use crate::engine::Engine;
use engine::MemoryEngine;

/// Returns an empty store.
pub fn open() -> Database {
    Database::new(engine())
}

/// Returns the engine of an empty store.
pub fn engine() -> Arc<dyn Engine> {
    Arc::new(MemoryEngine::default())
}

/// Returns the engine of a store with the documents and indexes that another one has now.
///
/// # Panics
/// If the other one is not in memory.
pub fn copy(of: &dyn Engine) -> Arc<dyn Engine> {
    let of = of.as_any().downcast_ref::<MemoryEngine>().expect("only a store in memory can be copied");
    Arc::new(of.copy())
}
