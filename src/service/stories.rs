use super::Error;
use super::content::{Articles, Placement};
use crate::domain::{Caller, Listing, PageRequest, Story, StoryFilter, Visibility};

/// A request for a list of stories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListStories {
    /// Only stories of this section.
    pub section_id: Option<String>,
    /// Includes the drafts that this caller may see.
    pub drafts_for: Option<Caller>,
    /// The page.
    pub page_request: PageRequest,
}

/// The use cases of stories. Cheap to clone.
pub type Stories = Articles<Story>;

impl Stories {
    /// Lists stories, newest first.
    pub async fn list(&self, request: ListStories) -> Result<Listing<Story>, Error> {
        let ListStories { section_id, drafts_for, page_request } = request;
        let filter = StoryFilter {
            visibility: Visibility::including_unpublished_of(drafts_for.as_ref()),
            section: Placement::filter(section_id.as_deref())?,
        };
        self.content.list(&filter, page_request).await
    }
}
