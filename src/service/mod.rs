//! Use cases: who sees what, and what may be asked.

/// What use cases of all content have in common.
mod content;
/// What can go wrong in a use case.
mod error;
/// Whether the store answers.
mod health;
/// Links of the navigation.
mod navlinks;
/// Pages.
mod pages;
/// Projects.
mod projects;
/// Sections.
mod sections;
/// Stories.
mod stories;
/// What is deleted.
mod trash;

pub use content::{SlugLookup, Written};
pub use error::{Error, ResourceKind};
pub use health::Health;
pub use navlinks::{CreateNavLink, NavLinks};
pub use pages::{Pages, WritePage};
pub use projects::{ListProjects, Projects, WriteProject};
pub use sections::{CreateSection, ListSections, OnDelete, Sections, UpdateSection};
pub use stories::{ListStories, Stories, WriteStory};
pub use trash::Trash;

pub use crate::repository::{ChangeTracker, ReadSet, ReadTracker};

use crate::identity::Authenticator;

/// All use cases. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// Who asks.
    pub authenticator: Authenticator,
    /// Whether what was made of reads still holds.
    pub change_tracker: ChangeTracker,
    /// Whether the store answers.
    pub health: Health,
    /// Links of the navigation.
    pub navlinks: NavLinks,
    /// Pages.
    pub pages: Pages,
    /// Projects.
    pub projects: Projects,
    /// Sections.
    pub sections: Sections,
    /// Stories.
    pub stories: Stories,
    /// What is deleted.
    pub trash: Trash,
}
