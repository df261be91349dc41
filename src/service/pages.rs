use std::sync::Arc;

use super::Error;
use super::content::{Content, Placement, Write, Written, editable, visible};
use super::sanitizer::sanitize_patch;
use crate::clock::Clock;
use crate::domain::{
    Authorship, Caller, ContentType, Id, Item as _, Page, PageDraft, PagePatch, Precondition, Revised,
    Section, is_builtin_page_type, is_page_type,
};
use crate::html::Removed;
use crate::repository::{Change, New, Repository};

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

    /// Returns the page of this type.
    pub async fn by_type(&self, caller: Option<&Caller>, page_type: &str) -> Result<Revised<Page>, Error> {
        Ok(visible(caller, self.content.items.find_versioned_by_type(page_type).await?)?.revised)
    }

    /// Updates the page of this type, or creates it. Page types are `about`, `contact`, and the slugs of sections of
    /// pages. A new page is published by default; without a section it goes to the section of its type, else to the
    /// first section of pages.
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
            let written = match self.content.items.find_versioned_by_type(page_type).await? {
                Some(stored) => {
                    let stored = editable(caller, Some(stored), precondition)?;
                    let current = stored.revised.item.section_id.as_deref();
                    change.section_id = self.placement.for_update(current, section_id).await?;
                    sanitize_once(&mut removed, &mut change).await?;
                    self.content.items.update(&stored, &change, self.content.clock.now()).await?
                }
                // A page that does not exist cannot meet a precondition.
                None if *precondition != Precondition::None => return Err(Error::NotFound(Page::NAME)),
                None => {
                    let section_of_type = self.section_of_type(page_type).await?;
                    self.content.authorize_create(caller)?;
                    sanitize_once(&mut removed, &mut change).await?;
                    let new = self
                        .new_page(caller, page_type, &change.patch, (section_id, section_of_type))
                        .await?;
                    self.content.items.insert_page(&new, self.content.clock.now()).await?
                }
            };
            // After a concurrent change, try again from the new state.
            if let Some(written) = written {
                return Ok(Written { revised: written.revised, removed: removed.unwrap_or_default() });
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
            let stored = self.content.items.find_versioned_by_type(page_type).await?;
            let stored = editable(caller, stored, precondition)?;
            if self.content.items.delete(&stored, self.content.clock.now()).await? {
                return Ok(());
            }
        }
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
            (requested, _) => self.placement.for_new(requested).await?,
        };
        let page_type = page_type.to_owned();
        let draft = PageDraft { title, content, page_type, is_published: is_published.unwrap_or(true) };
        Ok(New { draft, user_id: caller.id, section_id })
    }

    /// Returns the section whose slug is this page type; fails if there cannot be a page of this type.
    async fn section_of_type(&self, page_type: &str) -> Result<Option<Id>, Error> {
        if !is_page_type(page_type) {
            return Err(Error::NotFound(Page::NAME));
        }
        let section = self.placement.sections.find_by_slug(page_type).await?;
        match section.filter(|section| section.draft.content_type == ContentType::Page) {
            Some(section) => Ok(Some(section.meta.id)),
            None if is_builtin_page_type(page_type) => Ok(None),
            None => Err(Error::NotFound(Page::NAME)),
        }
    }
}

/// Sanitizes the content of a page, unless that was done before. The caller must be known to be allowed to write it.
async fn sanitize_once(removed: &mut Option<Vec<Removed>>, change: &mut Change<Page>) -> Result<(), Error> {
    if removed.is_none() {
        *removed = Some(sanitize_patch(&mut change.patch.content).await?);
    }
    Ok(())
}
