//! Test support: a real `mongod` and a separate store for each test.
//!
//! A test for both engines is written once, in [`stores!`] or [`targets!`], and becomes two tests: `name::embedded` and
//! `name::mongo`. Without a server the second one prints `not run: …` and is not counted; with `CI=true` it fails. The
//! program `with-mongod` starts one server for a whole run and reports at the end how many tests ran on each engine.

/// Servers with the interfaces of object storage.
pub mod buckets;
/// Child processes that are killed or stopped.
pub mod child;
/// Runs of fuzz targets in the ordinary build of the tests.
pub mod fuzz;
/// Discovery and installation of the server binary.
pub mod locate;
/// Macros for tests that run on both engines.
mod macros;
/// Server processes.
mod mongod;
/// A double of `mongos`.
pub mod mongos;
/// File systems with limits and faults.
mod mount;
/// Names of the tests in the sources.
mod names;
/// A TCP proxy with faults.
pub mod proxy;
/// Counts of the tests that ran on each engine.
pub mod record;
/// Execution of one test: creates its store and records the result.
mod run;
/// Commands that a sharded cluster accepts.
pub mod sharding;
/// The server that the tests of a run share.
mod shared;

pub use mongod::{Credentials, Mongod, ReplicaSet, ServerOptions};
pub use mount::Mount;
pub use names::test_names;
pub use proxy::Proxy;
pub use record::{Engine, scratch};
pub use run::{StoreLocation, Target, on, with_server_binary};
pub use shared::drop_leftovers;
