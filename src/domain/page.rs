use super::resource::resource;

/// The page types that exist without a section of that slug.
const BUILTIN_PAGE_TYPES: [&str; 2] = ["about", "contact"];

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
        /// Its name in URLs. It follows the slug of the section that it is the page of.
        page_type: String,
        /// Visible to everyone.
        is_published: bool,
    }
}

/// Reports whether a page of this type can exist without a section of that slug.
pub fn is_builtin_page_type(name: &str) -> bool {
    BUILTIN_PAGE_TYPES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_and_contact_are_builtin() {
        assert!(is_builtin_page_type("about") && is_builtin_page_type("contact"));
        assert!(!is_builtin_page_type("terms"));
    }
}
