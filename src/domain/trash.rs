use std::str::FromStr;

use chrono::{DateTime, Utc};

use super::Id;

/// What there is in the trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrashType {
    /// Stories.
    Stories,
    /// Projects.
    Projects,
    /// Pages.
    Pages,
    /// Sections.
    Sections,
}

impl TrashType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Stories, Self::Projects, Self::Pages, Self::Sections];

    /// As sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stories => "stories",
            Self::Projects => "projects",
            Self::Pages => "pages",
            Self::Sections => "sections",
        }
    }
}

impl FromStr for TrashType {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(())
    }
}

/// Something deleted, of which little is known for certain: what cannot be read can be deleted too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedItem {
    /// Its id.
    pub id: Id,
    /// What it is.
    pub kind: TrashType,
    /// Its title.
    pub title: String,
    /// The name in addresses that it had: a slug, or the type of a page.
    pub slug: String,
    /// When it was deleted; the original did not say.
    pub deleted: Option<DateTime<Utc>>,
    /// When it was last changed.
    pub updated: Option<DateTime<Utc>>,
}

/// Something that is no longer deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Its id.
    pub id: Id,
    /// Its title.
    pub title: String,
    /// The name in addresses that it has now: a slug, or the type of a page.
    pub slug: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_back_as_themselves() {
        for kind in TrashType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        for unknown in ["", "story", "Stories", "navlinks"] {
            assert_eq!(unknown.parse::<TrashType>(), Err(()));
        }
    }
}
