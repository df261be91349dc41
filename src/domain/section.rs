use std::str::FromStr;

use chrono::{DateTime, Utc};

use super::{Id, Item, Patch, Visibility};

/// Enums that are stored and sent as one word each.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// All words, as stored and sent.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As stored and sent.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl Default for $name {
            /// The first.
            fn default() -> Self {
                Self::ALL[0]
            }
        }

        impl FromStr for $name {
            type Err = ();

            fn from_str(word: &str) -> Result<Self, ()> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(()),
                }
            }
        }
    };
}

words! {
    /// How the content of a section is laid out.
    DisplayType {
        /// One below the other, newest first.
        Feed = "feed",
        /// A grid of cards.
        CardGrid = "card-grid",
        /// One page of text.
        StaticPage = "static-page",
        /// Pictures.
        Gallery = "gallery",
    }
}

words! {
    /// What a section holds.
    ContentType {
        /// Stories.
        Story = "story",
        /// Projects.
        Project = "project",
        /// Pages.
        Page = "page",
        /// Images.
        Image = "image",
        /// Photo essays, which is what newer databases say in place of images.
        PhotoEssay = "photo_essay",
    }
}

words! {
    /// Where a section is linked.
    NavVisibility {
        /// In the main navigation.
        Main = "main",
        /// In the secondary navigation.
        Secondary = "secondary",
        /// Nowhere.
        Hidden = "hidden",
    }
}

/// A place that content hangs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its id.
    pub id: Id,
    /// Its title.
    pub title: String,
    /// Its name in addresses.
    pub slug: String,
    /// The section it lies in, if it is not at the root.
    pub parent_id: Option<String>,
    /// How its content is laid out.
    pub display_type: DisplayType,
    /// What it holds.
    pub content_type: ContentType,
    /// Where it is linked.
    pub nav_visibility: NavVisibility,
    /// Its place among its siblings, lowest first.
    pub sort_order: i64,
    /// Whether everybody may see it.
    pub is_published: bool,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was last changed.
    pub updated: DateTime<Utc>,
    /// Who made it; sections made by a migration have no owner.
    pub user_id: Option<String>,
}

impl Item for Section {
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

/// What a section is made of when it comes into being.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSection {
    /// Its title.
    pub title: String,
    /// The section it lies in.
    pub parent_id: Option<Id>,
    /// How its content is laid out.
    pub display_type: DisplayType,
    /// What it holds.
    pub content_type: ContentType,
    /// Where it is linked.
    pub nav_visibility: NavVisibility,
    /// Its place among its siblings, lowest first.
    pub sort_order: i64,
    /// Whether everybody may see it.
    pub is_published: bool,
    /// Who makes it.
    pub user_id: Id,
}

/// What a section becomes; what is not said stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SectionChange {
    /// Its title.
    pub title: Option<String>,
    /// The section it lies in from now on; none is the root.
    pub parent_id: Patch<Id>,
    /// How its content is laid out.
    pub display_type: Option<DisplayType>,
    /// What it holds.
    pub content_type: Option<ContentType>,
    /// Where it is linked.
    pub nav_visibility: Option<NavVisibility>,
    /// Its place among its siblings, lowest first.
    pub sort_order: Option<i64>,
    /// Whether everybody may see it.
    pub is_published: Option<bool>,
}

/// Which sections a list is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionFilter {
    /// Published or not.
    pub visibility: Visibility,
    /// In which section they lie.
    pub parent: Option<ParentFilter>,
    /// Where they are linked.
    pub nav_visibility: Option<NavVisibility>,
}

/// In which section something lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParentFilter {
    /// In none.
    Root,
    /// In this one.
    In(Id),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_as_itself() {
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
