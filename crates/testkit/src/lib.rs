//! For tests only: a real `mongod`, and a store of its own for each test.
//!
//! A test that is to hold on both engines is written once, in [`stores!`] or [`targets!`], and becomes two:
//! `its_name::embedded` and `its_name::mongo`. Where no server is to be had the second half prints `not run: …` and is
//! not counted; with `CI=true` it fails. The program `with-mongod` starts one server for a whole run and says at the
//! end how many tests ran on each engine.

/// Test bodies that run on both engines.
mod both;
/// Where a server is found.
pub mod locate;
/// A server process of our own.
mod mongod;
/// Which tests ran on which engine.
pub mod record;
/// Running one test: its store before, its record afterwards.
mod run;
/// The server that the tests of this process share.
mod shared;

pub use mongod::{Mongod, ReplicaSet, ServerOptions, User};
pub use record::{Engine, scratch};
pub use run::{Target, on, with_server_binary};
pub use shared::sweep;
