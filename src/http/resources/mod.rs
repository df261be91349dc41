//! The routes of each resource: requests, responses and handlers.

/// The page on which the API is read and tried.
pub(crate) mod docs;
/// Health, readiness and the index.
pub(crate) mod health;
/// Who somebody is.
pub(crate) mod me;
/// Links of the navigation.
pub(crate) mod navlinks;
/// Pages.
pub(crate) mod pages;
/// Projects.
pub(crate) mod projects;
/// Sections.
pub(crate) mod sections;
/// Stories.
pub(crate) mod stories;
/// What is deleted.
pub(crate) mod trash;
