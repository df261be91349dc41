use chrono::{DateTime, Utc};

use super::{Id, Item};

/// Pages that there are without a section of their name.
const BUILTIN_PAGE_TYPES: [&str; 2] = ["about", "contact"];
/// The name of a page has at most so many characters.
const MAX_PAGE_TYPE_LENGTH: usize = 100;

/// A text of its own, such as the one about the author. There is at most one of each type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its id.
    pub id: Id,
    /// Its title.
    pub title: String,
    /// Its text, as HTML.
    pub content: String,
    /// Its name in addresses.
    pub page_type: String,
    /// Whether everybody may see it.
    pub is_published: bool,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was last changed.
    pub updated: DateTime<Utc>,
    /// Who made it.
    pub user_id: Option<String>,
    /// The section it hangs in.
    pub section_id: Option<String>,
}

impl Item for Page {
    fn id(&self) -> Id {
        self.id
    }

    fn owner(&self) -> Option<&str> {
        self.user_id.as_deref()
    }

    fn is_published(&self) -> bool {
        self.is_published
    }
}

/// What a page is made of when it comes into being.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPage {
    /// Its title.
    pub title: String,
    /// Its text, as HTML.
    pub content: String,
    /// Its name in addresses.
    pub page_type: String,
    /// Whether everybody may see it.
    pub is_published: bool,
    /// Who makes it.
    pub user_id: Id,
    /// The section it hangs in, if there is one for pages.
    pub section_id: Option<Id>,
}

/// What a page becomes; what is not said stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageChange {
    /// Its title.
    pub title: Option<String>,
    /// Its text, as HTML.
    pub content: Option<String>,
    /// Whether everybody may see it.
    pub is_published: Option<bool>,
    /// The section it hangs in from now on, if it moves.
    pub section_id: Option<Id>,
}

/// Whether a page may have this name: a slug of 1 to 100 characters.
pub fn is_page_type(name: &str) -> bool {
    (1..=MAX_PAGE_TYPE_LENGTH).contains(&name.len())
        && name.split('-').all(|word| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

/// Whether there may be a page of this name even if no section has it.
pub fn is_builtin_page_type(name: &str) -> bool {
    BUILTIN_PAGE_TYPES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_types_are_slugs() {
        let longest = "a".repeat(100);
        for good in ["about", "contact", "a", "2026", "terms-of-use", &longest] {
            assert!(is_page_type(good), "{good}");
        }
        let too_long = "a".repeat(101);
        for bad in ["", "-", "a-", "-a", "a--b", "About", "a b", "é", "~65a0", "a/b", "a\0", &too_long] {
            assert!(!is_page_type(bad), "{bad:?}");
        }
        assert!(
            is_builtin_page_type("about")
                && is_builtin_page_type("contact")
                && !is_builtin_page_type("terms")
        );
    }
}
