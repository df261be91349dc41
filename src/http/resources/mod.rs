//! The routes of each resource: requests, responses and handlers.

/// Stories and projects: the handlers that both share.
pub(crate) mod articles;
/// The documentation page.
pub(crate) mod docs;
/// Health, readiness and the index.
pub(crate) mod health;
/// The caller.
pub(crate) mod me;
/// Navigation links.
pub(crate) mod navlinks;
/// Pages.
pub(crate) mod pages;
/// Projects.
pub(crate) mod projects;
/// Sections.
pub(crate) mod sections;
/// Stories.
pub(crate) mod stories;
/// Deleted items.
pub(crate) mod trash;
