//! The routes of each resource: requests, responses and handlers.

/// Stories and projects.
pub(crate) mod articles;
/// The documentation page.
pub(crate) mod docs;
/// Reactions and comments.
pub(crate) mod engagement;
/// Health, readiness and the index.
pub(crate) mod health;
/// The library of pictures and videos.
pub(crate) mod library;
/// The caller.
pub(crate) mod me;
/// Files of pictures and videos.
pub(crate) mod media;
/// Navigation links.
pub(crate) mod navlinks;
/// Pages.
pub(crate) mod pages;
/// Sections.
pub(crate) mod sections;
/// Deleted items.
pub(crate) mod trash;
/// Uploads.
pub(crate) mod upload;
/// The processing of videos.
pub(crate) mod video_jobs;
