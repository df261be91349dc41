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

pub use content::{Found, Written};
pub use error::{Error, Kind};
pub use health::Health;
pub use navlinks::{CreateNavLink, NavLinks};
pub use pages::{Pages, WritePage};
pub use projects::{ListProjects, Projects, WriteProject};
pub use sections::{CreateSection, ListSections, Sections, UpdateSection, WhatLiesInIt};
pub use stories::{ListStories, Stories, WriteStory};
pub use trash::Trash;

pub use crate::repository::{Freshness, Reading, Reads};

use crate::identity::Callers;

/// All use cases. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// Who asks.
    pub callers: Callers,
    /// Whether what was made of reads still holds.
    pub freshness: Freshness,
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
