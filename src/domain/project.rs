use super::resource::resource;
use super::{Id, Visibility};

/// The maximum length of a project's summary, in characters.
pub const MAX_SUMMARY_LENGTH: u64 = 500;
/// The maximum number of a project's technologies.
pub const MAX_TECHNOLOGIES: u64 = 50;
/// The maximum length of a technology's name, in characters.
pub const MAX_TECHNOLOGY_LENGTH: u64 = 50;

resource! {
    /// A project, shown on a card.
    Project {
        /// Its name in URLs.
        slug: String,
        /// The section it belongs to.
        section_id: Option<String>,
    }
    /// The fields of a project that its author writes.
    ProjectDraft, ProjectPatch {
        /// Title.
        title: String,
        /// One or two sentences.
        summary: String,
        /// Text, as HTML.
        content: String,
        /// The technologies it is built with.
        technologies: Vec<String>,
        /// URL of the source code.
        github_url: Option<String>,
        /// URL of the running project.
        live_url: Option<String>,
        /// URL of a picture.
        image_url: Option<String>,
        /// Visible to everyone.
        is_published: bool,
        /// Shown in a prominent place.
        is_featured: bool,
        /// Position in lists, lowest first.
        sort_order: i64,
    }
}

/// Selects the projects of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectFilter {
    /// Published or not.
    pub visibility: Visibility,
    /// Only featured projects.
    pub featured_only: bool,
    /// Only projects of this section.
    pub section: Option<Id>,
}
