//! Use cases: visibility, permissions, slugs and sanitizing.

/// The content that refers to uploaded files.
mod asset_references;
/// The use cases that all resources share, and those of stories and projects.
mod content;
/// Reactions and comments.
mod engagement;
/// Service errors.
mod error;
/// The health of the store.
mod health;
/// The library of pictures and videos.
mod library;
/// The delivery of pictures and videos.
mod media;
/// Facts about examined files.
mod media_facts;
/// Files that enter the library.
mod media_import;
/// Navigation links.
mod navlinks;
/// Pages.
mod pages;
/// Sanitizing of HTML beside the threads that serve requests.
mod sanitizer;
/// Sections.
mod sections;
/// Deleted items.
mod trash;
/// Uploads.
mod uploads;
/// The processing of videos.
mod video_jobs;
/// The worker that processes videos.
mod video_worker;

pub use content::{Article, Articles, Content, Projects, Stories, Write, Written};
pub use engagement::Engagement;
pub use error::Error;
pub use health::{Health, StoreHealth};
pub use library::{Asset, Library};
pub use media::{Found, MediaFiles};
pub use media_import::{ImportPlan, ImportedGroup, LeftOut, MediaGroup, MediaImport};
pub use navlinks::NavLinks;
pub use pages::Pages;
pub use sanitizer::Unsanitized;
pub use sections::{OnDelete, SectionPlace, Sections, UpdateSection};
pub use trash::Trash;
pub use uploads::Uploads;
pub use video_jobs::VideoJobs;
pub use video_worker::VideoWorker;

pub use crate::media::image::ImageError;
pub use crate::media::video::ProbeError;
pub use crate::media::{
    IncomingFile, MAX_IMAGE_BYTES, Object, ObjectInfo, ReceiveError, ReceivedFile, StorageError,
};
pub use crate::repository::{ChangeTracker, ReadSet, ReadTracker};

use crate::domain::Authorship;
use crate::identity::Authenticator;

/// All services. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// Selects who may create content.
    pub authorship: Authorship,
    /// Authenticates callers.
    pub authenticator: Authenticator,
    /// Tracks which writes invalidate earlier reads.
    pub change_tracker: ChangeTracker,
    /// Reactions and comments.
    pub engagement: Engagement,
    /// Reports the health of the store.
    pub health: Health,
    /// The library of pictures and videos.
    pub library: Library,
    /// The files of pictures and videos.
    pub media_files: MediaFiles,
    /// Navigation links.
    pub navlinks: NavLinks,
    /// Pages.
    pub pages: Pages,
    /// Projects.
    pub projects: Projects,
    /// Sections.
    pub sections: Sections,
    /// Stories.
    pub stories: Stories,
    /// Deleted items.
    pub trash: Trash,
    /// Uploads.
    pub uploads: Uploads,
    /// The processing of videos.
    pub video_jobs: VideoJobs,
}
