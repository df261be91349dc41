use super::Caller;
use super::resource::string_enum;

/// The maximum number of items that a response names for one file.
pub const MAX_SHOWN_REFERRERS: usize = 50;

string_enum! {
    /// A type of items that can refer to uploaded files.
    ReferrerType {
        /// Stories.
        Story = "story",
        /// Projects.
        Project = "project",
        /// Pages.
        Page = "page",
        /// Sections.
        Section = "section",
        /// Photo essays, which the newest version of the original stores and this program does not serve.
        PhotoEssay = "photo_essay",
    }
}

/// An item that refers to uploaded files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// Its type.
    pub kind: ReferrerType,
    /// Its id.
    pub id: String,
    /// Its title; empty if it has none.
    pub title: String,
    /// The id of its owner, if it has one.
    pub user_id: Option<String>,
    /// True if everyone may see it.
    pub is_published: bool,
    /// The section it belongs to, if any.
    pub section_id: Option<String>,
}

impl Referrer {
    /// Reports whether a caller may see the item.
    pub fn is_visible_to(&self, caller: &Caller) -> bool {
        self.is_published || caller.may_edit(self.user_id.as_deref())
    }

    /// Reports whether the item is a section or belongs to it.
    pub fn is_part_of(&self, section: &str) -> bool {
        match self.kind {
            ReferrerType::Section => self.id == section,
            _ => self.section_id.as_deref() == Some(section),
        }
    }
}

/// The items that refer to one file, as a caller sees them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MediaUse {
    /// The first of those that the caller may see.
    pub shown: Vec<Referrer>,
    /// The number of all of them.
    pub count: usize,
}
