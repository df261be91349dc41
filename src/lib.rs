//! The content backend of Field Notes.

/// The time, as an argument.
pub mod clock;
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
