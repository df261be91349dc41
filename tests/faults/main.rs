//! Faults of stores, processes, networks and clients: what was acknowledged is there afterwards, whole and once.
//!
//! Each scenario runs real processes under load, keeps a history of all requests, and checks it at the end ([`history`]).
//! `make test` runs each in a bounded form; `make test-faults` runs them at full length, scaled by `ROUNDS` and
//! `SECONDS`, and writes their figures into docs/reliability.md ([`report`]).

/// Several backends on one replica set.
mod backends;
/// Backups that are taken under writes, and restored.
mod backup;
/// The system's clock set forward and back.
mod clock;
/// Damage to the file of the embedded store, and to its disk.
mod damage;
/// Servers that end, and are replaced, under load.
mod deploy;
/// A replica set whose primary changes or whose majority is missing.
mod failover;
/// Histories of requests, and the check that some order of them explains all responses.
mod history;
/// Clients that take what they can.
mod hostile;
/// Servers that are killed.
mod kill;
/// Clients that write and read, and record what they did.
mod load;
/// More requests than a server can answer.
mod overload;
/// Several servers of one store.
mod processes;
/// Starts, requests and stops the program.
#[path = "../process/program.rs"]
#[expect(dead_code, reason = "shared with the tests of processes, which need more of it")]
mod program;
/// The figures of a scenario, and the table of all.
mod report;
/// The length of scenarios.
mod scale;
/// The MongoDB servers of a scenario.
mod servers;
/// A long time of ordinary work.
mod soak;
/// A store that stops, or that cannot be reached.
mod store;
/// Connections whose requests are sent exactly once.
mod wire;
