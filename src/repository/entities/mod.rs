//! One file per resource: its row, filter, writes and declared indexes.

/// Comments.
pub(super) mod comment;
/// Numbers of reactions and comments.
pub(super) mod engagement_counts;
/// Uploaded pictures and videos.
mod media;
/// The files of uploaded pictures and videos.
mod media_files;
/// Navigation links.
mod navlink;
/// Pages.
mod page;
/// Projects.
mod project;
/// Reactions.
pub(super) mod reaction;
/// Sections.
mod section;
/// Stories.
mod story;
/// Users.
pub(super) mod user;
/// The processing of videos.
pub(super) mod video_job;

pub use media::DeletedMedia;
pub use page::PageRestore;
pub use user::{NewUser, User, Users};
pub use video_job::{ClaimedVideoJob, VideoJobs, VideoOutcome, WorkerLease};
