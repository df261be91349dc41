//! The content backend of Field Notes.
//!
//! Arrows run one way: `http` → `service` → `repository`, `identity` → `domain`. `startup` and `cli` put them together.

/// The command line.
pub mod cli;
/// The time, as an argument.
pub mod clock;
/// The configuration.
pub mod config;
/// Nouns and rules.
pub mod domain;
/// The HTML of content, cleaned.
pub mod html;
/// Routes, extractors, wire types, errors.
pub mod http;
/// From bearer token to caller.
pub mod identity;
/// Typed entities over the store.
pub mod repository;
/// Use cases.
pub mod service;
/// The phases of a start, and the end.
pub mod startup;
/// Where spans and events go.
pub mod telemetry;
