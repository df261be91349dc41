use chrono::{DateTime, Utc};

use super::Id;
use super::resource::string_enum;

string_enum! {
    /// A type of items that can be deleted and restored.
    #[derive(PartialOrd, Ord)]
    TrashType {
        /// Stories.
        Stories = "stories",
        /// Projects.
        Projects = "projects",
        /// Pages.
        Pages = "pages",
        /// Sections.
        Sections = "sections",
        /// Uploaded pictures and videos.
        Media = "media",
    }
}

/// A deleted item. Fields that cannot be read are empty, since unreadable items can be deleted too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedItem {
    /// Its id.
    pub id: Id,
    /// Its type.
    pub kind: TrashType,
    /// Its title; of a file, the name that it had where it came from.
    pub title: String,
    /// The name in URLs that it had: a slug, the type of a page, or the id in the names of a file.
    pub slug: String,
    /// Time of deletion; items deleted by the original have none.
    pub deleted: Option<DateTime<Utc>>,
    /// Time of the last change.
    pub updated: Option<DateTime<Utc>>,
}

/// An item that was restored from the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Its id.
    pub id: Id,
    /// Its title.
    pub title: String,
    /// Its name in URLs now: a slug, the type of a page, or the id in the names of a file.
    pub slug: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_parses_from_its_name() {
        for kind in TrashType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        for unknown in ["", "story", "Stories", "navlinks"] {
            assert_eq!(unknown.parse::<TrashType>(), Err(()));
        }
    }
}
