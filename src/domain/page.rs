use super::resource::resource;

/// The page types that exist without a section of that slug.
const BUILTIN_PAGE_TYPES: [&str; 2] = ["about", "contact"];
/// The maximum length of a page type, in characters.
const MAX_PAGE_TYPE_LENGTH: usize = 100;

resource! {
    /// A standalone page, such as the one about the author. There is at most one of each type.
    Page {
        /// The section it belongs to.
        section_id: Option<String>,
    }
    /// The fields of a page that its author writes.
    PageDraft, PagePatch {
        /// Title.
        title: String,
        /// Text, as HTML.
        content: String,
        /// Its name in URLs; it never changes.
        page_type: String,
        /// Visible to everyone.
        is_published: bool,
    }
}

/// Reports whether a text can be a page type: a slug of 1 to 100 characters.
pub fn is_page_type(name: &str) -> bool {
    (1..=MAX_PAGE_TYPE_LENGTH).contains(&name.len())
        && name.split('-').all(|word| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

/// Reports whether a page of this type can exist without a section of that slug.
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
