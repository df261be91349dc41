use super::resource::{patchable, resource, string_enum};
use super::{Id, Visibility};

string_enum! {
    /// The layout of a section's content.
    #[derive(Default)]
    DisplayType {
        /// One item below the other, newest first.
        #[default]
        Feed = "feed",
        /// A grid of cards.
        CardGrid = "card-grid",
        /// One page of text.
        StaticPage = "static-page",
        /// Pictures.
        Gallery = "gallery",
    }
}

string_enum! {
    /// The type of a section's content.
    #[derive(Default)]
    ContentType {
        /// Stories.
        #[default]
        Story = "story",
        /// Projects.
        Project = "project",
        /// Pages.
        Page = "page",
        /// Images.
        Image = "image",
        /// Photo essays; newer databases use it in place of images.
        PhotoEssay = "photo_essay",
    }
}

string_enum! {
    /// The menu that links to a section.
    #[derive(Default)]
    NavVisibility {
        /// The main navigation.
        #[default]
        Main = "main",
        /// The secondary navigation.
        Secondary = "secondary",
        /// No menu.
        Hidden = "hidden",
    }
}

resource! {
    /// A section: a place in the site that content belongs to.
    Section {
        /// Its name in URLs.
        slug: String,
    }
    /// The fields of a section that its author writes.
    SectionDraft, SectionPatch {
        /// Title.
        title: String,
        /// The parent section; none at the root.
        parent_id: Option<String>,
        /// Layout of its content.
        display_type: DisplayType,
        /// Type of its content.
        content_type: ContentType,
        /// The menu that links to it.
        nav_visibility: NavVisibility,
        /// Position among its siblings, lowest first.
        sort_order: i64,
        /// Visible to everyone.
        is_published: bool,
    }
}

patchable!(DisplayType, ContentType, NavVisibility);

/// Selects the sections of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionFilter {
    /// Published or not.
    pub visibility: Visibility,
    /// Only children of this parent.
    pub parent: Option<ParentFilter>,
    /// Only sections that this menu links to.
    pub nav_visibility: Option<NavVisibility>,
}

/// A condition on the parent of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParentFilter {
    /// None: the section is at the root.
    Root,
    /// This section.
    In(Id),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_parses_to_its_variant() {
        for word in DisplayType::WORDS {
            assert_eq!(word.parse::<DisplayType>().unwrap().as_str(), *word);
        }
        for word in ContentType::WORDS {
            assert_eq!(word.parse::<ContentType>().unwrap().as_str(), *word);
        }
        for word in NavVisibility::WORDS {
            assert_eq!(word.parse::<NavVisibility>().unwrap().as_str(), *word);
        }
        assert!("Main".parse::<NavVisibility>().is_err());
    }
}
