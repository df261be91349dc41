use crate::domain::Revision;
use crate::repository;

/// What an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    /// A link of the navigation.
    NavLink,
    /// A page.
    Page,
    /// A section.
    Section,
    /// A story.
    Story,
    /// A project.
    Project,
}

impl ResourceKind {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::NavLink => "NavLink",
            Self::Page => "Page",
            Self::Section => "Section",
            Self::Story => "Story",
            Self::Project => "Project",
        }
    }
}

/// What can go wrong in a use case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no id.
    #[error("invalid id of a {}", .0.name())]
    InvalidId(ResourceKind),
    /// A parameter is well formed, and yet means nothing.
    #[error("invalid {parameter}: {expected}")]
    InvalidParameter {
        /// The parameter.
        parameter: &'static str,
        /// What it may be.
        expected: String,
    },
    /// There is none, or none that the caller may see.
    #[error("{} not found", .0.name())]
    NotFound(ResourceKind),
    /// There is none in the trash.
    #[error("{} not found in the trash", .0.name())]
    NotInTrash(ResourceKind),
    /// A page cannot be restored while another has its type, which is this one.
    #[error("there is a page {0} already")]
    PageThere(String),
    /// A field is well formed, and yet means nothing.
    #[error("invalid {field}: {expected}")]
    InvalidField {
        /// The field.
        field: &'static str,
        /// What it has to be.
        expected: String,
    },
    /// The caller is no author.
    #[error("the caller may not create content")]
    MayNotCreate,
    /// The caller is no administrator.
    #[error("the caller is no administrator")]
    NotAdmin,
    /// The item belongs to somebody else.
    #[error("the caller may not change the item")]
    MayNotChange,
    /// The item is in another state than the change is made for.
    #[error("the item has changed, to revision {0}")]
    Stale(Revision),
    /// What is asked for is another item's.
    #[error("{field} is taken")]
    Taken {
        /// The field.
        field: &'static str,
    },
    /// Something lies in the section.
    #[error("the section holds {0}")]
    InUse(String),
    /// The repository failed.
    #[error(transparent)]
    Repository(#[from] repository::Error),
}
