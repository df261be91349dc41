//! The API through its router, without a socket, on the embedded store and on a real `mongod`.

/// Bad input, and what it gets.
mod bad_input;
/// Entity tags, cache headers, 304.
mod caching;
/// Every answer is one that the document names.
mod conform;
/// Origins, and the headers that browsers need.
mod cors;
/// Error bodies and the routes around them.
mod errors;
/// What the fields of each kind of content may hold, and what they are when they are left out.
mod fields;
/// The gate before, during and after a start.
mod gate;
/// Tokens of Google, with a double of Google over a real socket.
mod google;
/// Health, readiness, the index.
mod health;
/// What is removed from content.
mod html;
/// Declared indexes on databases that are not empty.
mod indexes;
/// How often a client may ask.
mod limits;
/// What all lists have in common: how they are read, how much there is, how they are walked.
mod lists;
/// Who somebody is.
mod me;
/// Links of the navigation.
mod navlinks;
/// The document of the API, and its page.
mod openapi;
/// Pages.
mod pages;
/// Every route, as everybody.
mod policy;
/// Projects.
mod projects;
/// Rendered responses.
mod rendered;
/// Sections, read.
mod sections;
/// Sections, written.
mod sections_write;
/// Stories.
mod stories;
/// An application for each test.
mod support;
/// What is deleted: listed, restored, purged.
mod trash;
/// Where the original was weak.
mod weak_spots;
/// Requests that write.
mod writing;
