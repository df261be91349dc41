use std::sync::Arc;

use super::content::{Placement, Written, changeable, sanitized, visible};
use super::{Error, ResourceKind};
use crate::clock::Clock;
use crate::domain::{
    Authorship, Caller, ContentType, Id, NewPage, Page, PageChange, Precondition, Revised, Section,
    is_builtin_page_type, is_page_type,
};
use crate::html::Sanitized;
use crate::repository::Repository;

/// What is written of a page; what is not said stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WritePage {
    /// Its title. A new page needs one.
    pub title: Option<String>,
    /// Its text, as HTML. A new page needs one.
    pub content: Option<String>,
    /// Whether everybody may see it; a new page is, unless this says otherwise.
    pub is_published: Option<bool>,
    /// The section it hangs in; a new page without one hangs in the section of its own name, else in the first one
    /// for pages.
    pub section_id: Option<String>,
}

/// Pages. Cheap to clone.
#[derive(Clone)]
pub struct Pages {
    items: Repository<Page>,
    sections: Repository<Section>,
    placement: Placement,
    authorship: Authorship,
    clock: Arc<dyn Clock>,
}

impl Pages {
    /// Keeps pages in `pages`, each in one of `sections`.
    pub fn new(
        pages: Repository<Page>,
        sections: Repository<Section>,
        authorship: Authorship,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let placement = Placement::new(sections.clone(), ContentType::Page);
        Self { items: pages, sections, placement, authorship, clock }
    }

    /// The page of this type.
    pub async fn by_type(&self, caller: Option<&Caller>, page_type: &str) -> Result<Revised<Page>, Error> {
        Ok(visible(ResourceKind::Page, caller, self.items.find_versioned_by_type(page_type).await?)?.revised)
    }

    /// Changes the page of this type, or makes it. There is a type for each section of pages, by its slug, and
    /// `about` and `contact` in any case.
    pub async fn put(
        &self,
        caller: &Caller,
        page_type: &str,
        page: &WritePage,
        condition: &Precondition,
    ) -> Result<Written<Page>, Error> {
        let content = page.content.as_deref().map(sanitized).transpose()?;
        let (content, removed) = content.map(|Sanitized { html, removed }| (html, removed)).unzip();
        loop {
            let written = match self.items.find_versioned_by_type(page_type).await? {
                Some(stored) => {
                    let stored = changeable(ResourceKind::Page, caller, Some(stored), condition)?;
                    let held = stored.revised.item.section_id.as_deref();
                    let change = PageChange {
                        title: page.title.clone(),
                        content: content.clone(),
                        is_published: page.is_published,
                        section_id: self.placement.for_change(held, page.section_id.as_deref()).await?,
                    };
                    self.items.change(&stored, &change, self.clock.now()).await?
                }
                // There is nothing that could be in a state that the caller knows.
                None if *condition != Precondition::None => return Err(Error::NotFound(ResourceKind::Page)),
                None => {
                    let new = self.new_page(caller, page_type, page, content.clone()).await?;
                    self.items.insert_page(&new, self.clock.now()).await?
                }
            };
            // Somebody else was first: from what they left anew.
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
        condition: &Precondition,
    ) -> Result<(), Error> {
        loop {
            let stored = self.items.find_versioned_by_type(page_type).await?;
            let stored = changeable(ResourceKind::Page, caller, stored, condition)?;
            if self.items.delete(&stored, self.clock.now()).await? {
                return Ok(());
            }
        }
    }

    async fn new_page(
        &self,
        caller: &Caller,
        page_type: &str,
        page: &WritePage,
        content: Option<String>,
    ) -> Result<NewPage, Error> {
        let own_section = self.own_section(page_type).await?;
        if !caller.may_create(self.authorship) {
            return Err(Error::MayNotCreate);
        }
        let (Some(title), Some(content)) = (page.title.clone(), content) else {
            return Err(Error::InvalidParameter {
                parameter: "page",
                expected: "a new page needs title and content".into(),
            });
        };
        let section_id = match (&page.section_id, own_section) {
            (None, Some(own)) => Some(own),
            (named, _) => self.placement.for_new(named.as_deref()).await?,
        };
        Ok(NewPage {
            title,
            content,
            page_type: page_type.to_owned(),
            is_published: page.is_published.unwrap_or(true),
            user_id: caller.id,
            section_id,
        })
    }

    /// The section that a page type names, if there may be such a page.
    async fn own_section(&self, page_type: &str) -> Result<Option<Id>, Error> {
        if !is_page_type(page_type) {
            return Err(Error::NotFound(ResourceKind::Page));
        }
        let section = self.sections.find_by_slug(page_type).await?;
        match section.filter(|section| section.content_type == ContentType::Page) {
            Some(section) => Ok(Some(section.id)),
            None if is_builtin_page_type(page_type) => Ok(None),
            None => Err(Error::NotFound(ResourceKind::Page)),
        }
    }
}
