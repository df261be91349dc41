//! One file per resource: its row, filter, writes and declared indexes.

/// Uploaded pictures and videos.
mod media;
/// Navigation links.
mod navlink;
/// Pages.
mod page;
/// Projects.
mod project;
/// Sections.
mod section;
/// Stories.
mod story;
/// Users.
pub(super) mod user;

pub use media::StoredContentHash;
pub use page::PageRestore;
pub use user::{NewUser, User, Users};
