use crate::repository;

/// What an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A section.
    Section,
}

impl Kind {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Section => "Section",
        }
    }
}

/// What can go wrong in a use case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no id.
    #[error("invalid id of a {}", .0.name())]
    InvalidId(Kind),
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
    NotFound(Kind),
    /// The repository failed.
    #[error(transparent)]
    Repository(#[from] repository::Error),
}
