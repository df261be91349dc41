use std::sync::Arc;

use super::content::{
    Placement, SlugLookup, Written, by_id, by_slug, changeable, delete, parse_id, sanitized,
};
use super::{Error, ResourceKind};
use crate::clock::Clock;
use crate::domain::{
    Authorship, Caller, ContentType, Listing, NewStory, PageRequest, Precondition, Revised, Section, Story,
    StoryChange, StoryFilter, Visibility, slugify,
};
use crate::html::Sanitized;
use crate::repository::Repository;

/// What a list of stories is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListStories {
    /// The section they hang in.
    pub section_id: Option<String>,
    /// Who asks for drafts too.
    pub drafts_for: Option<Caller>,
    /// Which part.
    pub page_request: PageRequest,
}

/// What is written of a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteStory {
    /// Its title.
    pub title: String,
    /// Its text, as HTML.
    pub content: String,
    /// Whether everybody may see it.
    pub is_published: bool,
    /// The section it hangs in; none leaves it where it is, and a new one in the first section for stories.
    pub section_id: Option<String>,
}

/// Stories. Cheap to clone.
#[derive(Clone)]
pub struct Stories {
    items: Repository<Story>,
    placement: Placement,
    authorship: Authorship,
    clock: Arc<dyn Clock>,
}

impl Stories {
    /// Keeps stories in `items`, each in one of `sections`.
    pub fn new(
        items: Repository<Story>,
        sections: Repository<Section>,
        authorship: Authorship,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { items, placement: Placement::new(sections, ContentType::Story), authorship, clock }
    }

    /// Stories, the newest first.
    pub async fn list(&self, wanted: ListStories) -> Result<Listing<Story>, Error> {
        let ListStories { section_id, drafts_for, page_request } = wanted;
        let filter = StoryFilter {
            visibility: drafts_for.as_ref().map_or(Visibility::Published, Visibility::with_unpublished),
            section: Placement::filter(section_id.as_deref())?,
        };
        Ok(self.items.list(&filter, page_request).await?)
    }

    /// The story with this id.
    pub async fn by_id(&self, caller: &Caller, id: &str) -> Result<Revised<Story>, Error> {
        by_id(&self.items, ResourceKind::Story, Some(caller), id).await
    }

    /// The story with this slug, or the slug of the one that had it before.
    pub async fn by_slug(&self, caller: Option<&Caller>, slug: &str) -> Result<SlugLookup<Story>, Error> {
        by_slug(&self.items, ResourceKind::Story, caller, slug).await
    }

    /// Makes a story.
    pub async fn create(&self, caller: &Caller, story: WriteStory) -> Result<Written<Story>, Error> {
        if !caller.may_create(self.authorship) {
            return Err(Error::MayNotCreate);
        }
        let WriteStory { title, content, is_published, section_id } = story;
        let slug = slugify(&title);
        let (section_id, name) =
            self.placement.for_new_and(section_id.as_deref(), self.items.reserve_slug(&slug)).await?;
        let Sanitized { html: content, removed } = sanitized(&content)?;
        let new = NewStory { title, content, is_published, user_id: caller.id, section_id };
        let stored = self.items.insert_with_slug(name, &new, self.clock.now()).await?;
        Ok(Written { revised: stored.revised, removed })
    }

    /// Changes a story. The slug follows the title; the date is that of the first publication.
    pub async fn update(
        &self,
        caller: &Caller,
        id: &str,
        story: &WriteStory,
        condition: &Precondition,
    ) -> Result<Written<Story>, Error> {
        let id = parse_id(ResourceKind::Story, id)?;
        let Sanitized { html, removed } = sanitized(&story.content)?;
        loop {
            let stored =
                changeable(ResourceKind::Story, caller, self.items.find_versioned(id).await?, condition)?;
            let held = &stored.revised.item;
            let now = self.clock.now();
            let change = StoryChange {
                title: story.title.clone(),
                content: html.clone(),
                is_published: story.is_published,
                date: (story.is_published && held.date.is_none()).then_some(now),
                section_id: self
                    .placement
                    .for_change(held.section_id.as_deref(), story.section_id.as_deref())
                    .await?,
            };
            let changed = if held.title == story.title {
                self.items.change(&stored, &change, now).await?
            } else {
                self.items.rename(&stored, &slugify(&story.title), &change, now).await?
            };
            // Somebody else was first: from their state anew, if the condition allows it.
            if let Some(changed) = changed {
                return Ok(Written { revised: changed.revised, removed });
            }
        }
    }

    /// Deletes a story, so that it can be restored.
    pub async fn delete(&self, caller: &Caller, id: &str, condition: &Precondition) -> Result<(), Error> {
        delete(&self.items, &*self.clock, ResourceKind::Story, caller, id, condition).await
    }
}
