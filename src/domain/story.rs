use chrono::{DateTime, Utc};

use super::{Id, Item, Visibility};

/// Something told, shown in a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// Its id.
    pub id: Id,
    /// Its title.
    pub title: String,
    /// Its text, as HTML.
    pub content: String,
    /// Its name in addresses.
    pub slug: String,
    /// Whether everybody may see it.
    pub is_published: bool,
    /// When it was first published.
    pub date: Option<DateTime<Utc>>,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was last changed.
    pub updated: DateTime<Utc>,
    /// Who made it.
    pub user_id: Option<String>,
    /// The section it hangs in.
    pub section_id: Option<String>,
}

impl Item for Story {
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

/// What a story is made of when it comes into being.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStory {
    /// Its title.
    pub title: String,
    /// Its text, as HTML.
    pub content: String,
    /// Whether everybody may see it.
    pub is_published: bool,
    /// Who makes it.
    pub user_id: Id,
    /// The section it hangs in, if there is one for stories.
    pub section_id: Option<Id>,
}

/// What a story becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoryChange {
    /// Its title.
    pub title: String,
    /// Its text, as HTML.
    pub content: String,
    /// Whether everybody may see it.
    pub is_published: bool,
    /// The day of its first publication, if that is what the change is.
    pub date: Option<DateTime<Utc>>,
    /// The section it hangs in from now on, if it moves.
    pub section_id: Option<Id>,
}

/// Which stories a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoryFilter {
    /// Published or not.
    pub visibility: Visibility,
    /// In which section they hang.
    pub section: Option<Id>,
}
