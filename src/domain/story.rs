use chrono::{DateTime, Utc};

use super::resource::resource;
use super::{Id, Visibility};

resource! {
    /// A story, shown in a feed.
    Story {
        /// Its name in URLs.
        slug: String,
        /// Time of the first publication.
        date: Option<DateTime<Utc>>,
        /// The section it belongs to.
        section_id: Option<String>,
    }
    /// The fields of a story that its author writes.
    StoryDraft, StoryPatch {
        /// Title.
        title: String,
        /// Text, as HTML.
        content: String,
        /// Visible to everyone.
        is_published: bool,
    }
}

/// Selects the stories of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoryFilter {
    /// Published or not.
    pub visibility: Visibility,
    /// Only stories of this section.
    pub section: Option<Id>,
}
