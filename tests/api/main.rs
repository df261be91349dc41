//! The API through its router, without a socket, on the embedded store and on a real `mongod`.

/// Entity tags, cache headers, 304.
mod caching;
/// Error bodies and the routes around them.
mod errors;
/// The gate before, during and after a start.
mod gate;
/// Health, readiness, the index.
mod health;
/// What is removed from content.
mod html;
/// Declared indexes on databases that are not empty.
mod indexes;
/// Links of the navigation.
mod navlinks;
/// Pages.
mod pages;
/// Projects.
mod projects;
/// Sections, read.
mod sections;
/// Sections, written.
mod sections_write;
/// Stories.
mod stories;
/// An application for each test.
mod support;
/// Requests that write.
mod writing;
