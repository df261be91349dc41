use std::sync::Arc;

use super::Error;
use super::content::{Content, Placement, Write, Written, editable};
use super::sanitizer::sanitize_patch;
use crate::clock::Clock;
use crate::domain::{
    Authorship, Caller, ContentType, Id, Item as _, Page, PageDraft, PagePatch, Precondition, Section,
    SlugLookup, Visibility, is_builtin_page_type, is_slug,
};
use crate::html::Removed;
use crate::repository::{Change, New, Repository, Versioned};

/// The use cases of pages. Cheap to clone.
#[derive(Clone)]
pub struct Pages {
    pub(super) content: Content<Page>,
    placement: Placement,
}

impl Pages {
    /// Stores pages in `pages`, each in one of `sections`.
    pub fn new(
        pages: Repository<Page>,
        sections: Repository<Section>,
        authorship: Authorship,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let placement = Placement::new(sections, ContentType::Page);
        Self { content: Content::new(pages, authorship, clock), placement }
    }

    /// Returns the page of this type, or the new type of the page that had it. A former type that has become the slug of
    /// another section of pages leads to that section's page alone.
    pub async fn by_type(&self, caller: Option<&Caller>, page_type: &str) -> Result<SlugLookup<Page>, Error> {
        let found = self.content.by_slug(caller, page_type).await?;
        if matches!(found, SlugLookup::Renamed(_)) {
            let section = self.section_with_slug(page_type).await?;
            if section.is_some_and(|section| section.is_visible_to(caller)) {
                return Err(Error::NotFound(Page::NAME));
            }
        }
        Ok(found)
    }

    /// Updates the page of this type, or creates it. A former type updates the page that had it. Page types are `about`,
    /// `contact`, and the slugs of sections of pages. A new page is published by default; without a section it goes to the
    /// section of its type, else to the first section of pages.
    pub async fn put(
        &self,
        caller: &Caller,
        page_type: &str,
        page: Write<PagePatch>,
        precondition: &Precondition,
    ) -> Result<Written<Page>, Error> {
        let Write { fields: patch, section_id } = page;
        let section_id = section_id.as_deref();
        let mut removed = None;
        let mut change = Change { patch, section_id: None };
        loop {
            let stored = self.find_to_change(page_type).await?;
            // Whether there is a draft that the caller may not see must not change the answer.
            if stored.as_ref().is_none_or(|stored| !stored.revised.item.is_visible_to(Some(caller))) {
                self.content.authorize_create(caller)?;
            }
            let (written, section) = if let Some(stored) = stored {
                let stored = editable(caller, Some(stored), precondition)?;
                let current = stored.revised.item.section_id.as_deref();
                change.section_id = self.placement.for_update(caller, current, section_id).await?;
                sanitize_once(&mut removed, &mut change).await?;
                let written = self.content.items.update(&stored, &change, self.content.clock.now()).await?;
                (written, change.section_id)
            } else {
                let section_of_type = self.section_of_type(caller, page_type).await?;
                if !precondition.accepts(None) {
                    return Err(Error::Absent(Page::NAME));
                }
                sanitize_once(&mut removed, &mut change).await?;
                let sections = (section_id, section_of_type);
                let new = self.new_page(caller, page_type, &change.patch, sections).await?;
                let written = self.content.items.insert_page(&new, self.content.clock.now()).await?;
                (written, new.section_id)
            };
            // After a concurrent change, try again from the new state.
            if let Some(written) = written {
                let settled = self.placement.settle(&self.content.items, written, section).await?;
                return Ok(Written { revised: settled.revised, removed: removed.unwrap_or_default() });
            }
        }
    }

    /// Deletes the page of this type, so that it can be restored.
    pub async fn delete(
        &self,
        caller: &Caller,
        page_type: &str,
        precondition: &Precondition,
    ) -> Result<(), Error> {
        loop {
            let stored = self.find_to_change(page_type).await?;
            let stored = editable(caller, stored, precondition)?;
            if self.content.items.delete(&stored, self.content.clock.now()).await? {
                return Ok(());
            }
        }
    }

    /// Returns the page of this type; else the page that had it, unless it is the slug of another section by now.
    async fn find_to_change(&self, page_type: &str) -> Result<Option<Versioned<Page>>, Error> {
        let items = &self.content.items;
        if let Some(current) = items.find_versioned_by_type(page_type).await? {
            return Ok(Some(current));
        }
        match items.find_by_name(page_type, Visibility::All).await? {
            Some(SlugLookup::Renamed(now)) if self.section_with_slug(page_type).await?.is_none() => {
                items.find_versioned_by_type(&now).await
            }
            _ => Ok(None),
        }
        .map_err(Error::from)
    }

    async fn new_page(
        &self,
        caller: &Caller,
        page_type: &str,
        patch: &PagePatch,
        sections: (Option<&str>, Option<Id>),
    ) -> Result<New<Page>, Error> {
        let PagePatch { title: Some(title), content: Some(content), page_type: _, is_published } =
            patch.clone()
        else {
            return Err(Error::InvalidParameter {
                parameter: "page",
                expected: "a new page must have title and content".into(),
            });
        };
        let section_id = match sections {
            (None, Some(section)) => Some(section),
            (requested, _) => self.placement.for_new(caller, requested).await?,
        };
        let page_type = page_type.to_owned();
        let draft = PageDraft { title, content, page_type, is_published: is_published.unwrap_or(true) };
        Ok(New { draft, user_id: caller.id, section_id, key: None })
    }

    /// Returns the section whose slug is this page type; fails if the caller cannot create a page of this type.
    async fn section_of_type(&self, caller: &Caller, page_type: &str) -> Result<Option<Id>, Error> {
        if !is_slug(page_type) {
            return Err(Error::NotFound(Page::NAME));
        }
        let section = self.section_with_slug(page_type).await?;
        match section.filter(|section| section.is_visible_to(Some(caller))) {
            Some(section) => Ok(Some(section.meta.id)),
            None if is_builtin_page_type(page_type) => Ok(None),
            None => Err(Error::NotFound(Page::NAME)),
        }
    }

    /// Returns the section of pages with this slug, published or not.
    async fn section_with_slug(&self, slug: &str) -> Result<Option<Section>, Error> {
        let section = self.placement.sections.find_by_slug(slug).await?;
        Ok(section.filter(|section| section.draft.content_type == ContentType::Page))
    }
}

/// Sanitizes the content of a page, unless that was done before. The caller must be known to be allowed to write it.
async fn sanitize_once(removed: &mut Option<Vec<Removed>>, change: &mut Change<Page>) -> Result<(), Error> {
    if removed.is_none() {
        *removed = Some(sanitize_patch(&mut change.patch.content).await?);
    }
    Ok(())
}
