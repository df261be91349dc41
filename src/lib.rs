//! The content backend of Field Notes.
//!
//! Dependencies point one way: `http` → `service` → `repository`, `media`, `identity` → `domain`. `startup` and `cli` wire them.

/// The command line.
pub mod cli;
/// The time, as an argument.
pub mod clock;
/// The configuration.
pub mod config;
/// Domain types and rules, without I/O.
pub mod domain;
/// Fuzz targets.
#[cfg(any(test, fuzzing))]
pub mod fuzz;
/// The HTML sanitizer.
pub mod html;
/// Routes, extractors, wire types and errors.
pub mod http;
/// Authentication: from a bearer token to a caller.
pub mod identity;
/// Pictures and videos: storage, names and contents of their files.
pub mod media;
/// Typed entities over the store.
pub mod repository;
/// Use cases.
pub mod service;
/// Start-up and shutdown.
pub mod startup;
/// Logging.
pub mod telemetry;
/// TLS of outgoing connections.
mod tls;
