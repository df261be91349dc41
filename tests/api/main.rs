//! The API through its router, without a socket, on the embedded store and on a real `mongod`.

/// Current and former addresses.
mod addresses;
/// Invalid input.
mod bad_input;
/// Entity tags, cache headers, 304.
mod caching;
/// Checks that every response conforms to the OpenAPI document.
mod conform;
/// CORS and security headers.
mod cors;
/// A store that counts what is asked of it.
#[path = "../../crates/migrator/tests/engine/counting.rs"]
#[expect(dead_code, reason = "the migrator's tests use the rest")]
mod counting;
/// Faults of the embedded store: full, damaged, read-only.
mod embedded_store;
/// Reactions and comments.
mod engagement;
/// Error bodies and the routes around them.
mod errors;
/// Fields of each type of content: rules and defaults.
mod fields;
/// The gate before, during and after a start.
mod gate;
/// Google tokens, with a mock of Google over a real socket.
mod google;
/// A double of Google.
mod google_double;
/// Health, readiness, the index.
mod health;
/// Sanitizing of HTML.
mod html;
/// Creates that are repeated with a key.
mod idempotency;
/// Users: accounts and addresses.
mod identity;
/// Declared indexes on databases that are not empty.
mod indexes;
/// The library of pictures and videos.
mod library;
/// Rate limits.
mod limits;
/// Lists: query plans, totals and cursors.
mod lists;
/// The caller.
mod me;
/// Files of pictures and videos, and the storage that they are in.
mod media;
/// Navigation links.
mod navlinks;
/// The OpenAPI document and its page.
mod openapi;
/// Writes of several documents, with a store that fails between them.
mod outcomes;
/// Pages.
mod pages;
/// Every route's policy, with every type of caller.
mod policy;
/// Projects.
mod projects;
/// Defects of the original.
mod regressions;
/// The response cache.
mod rendered;
/// The contents of sections: defaults, types, deletion.
mod section_contents;
/// Sections, read.
mod sections;
/// Sections, written.
mod sections_write;
/// Stories.
mod stories;
/// The application under test.
mod support;
/// The trash: listing, restoring, purging.
mod trash;
/// Uploads.
mod uploads;
mod video_jobs;
mod video_worker;
/// Helpers for requests that write.
mod writing;
