use std::sync::Arc;

use super::content::{
    Placement, SlugLookup, Written, by_id, by_slug, changeable, delete, parse_id, sanitized,
};
use super::{Error, ResourceKind};
use crate::clock::Clock;
use crate::domain::{
    Authorship, Caller, ContentType, Listing, NewProject, PageRequest, Precondition, Project, ProjectChange,
    ProjectFilter, ProjectText, Revised, Section, Visibility, slugify,
};
use crate::html::Sanitized;
use crate::repository::Repository;

/// What a list of projects is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListProjects {
    /// The section they hang in.
    pub section_id: Option<String>,
    /// Only the prominent ones.
    pub featured_only: bool,
    /// Who asks for the unpublished ones too.
    pub unpublished_for: Option<Caller>,
    /// Which part.
    pub page_request: PageRequest,
}

/// What is written of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteProject<T> {
    /// The project, or what is changed in it.
    pub text: T,
    /// The section it hangs in; none leaves it where it is, and a new one in the first section for projects.
    pub section_id: Option<String>,
}

/// Projects. Cheap to clone.
#[derive(Clone)]
pub struct Projects {
    items: Repository<Project>,
    placement: Placement,
    authorship: Authorship,
    clock: Arc<dyn Clock>,
}

impl Projects {
    /// Keeps projects in `items`, each in one of `sections`.
    pub fn new(
        items: Repository<Project>,
        sections: Repository<Section>,
        authorship: Authorship,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { items, placement: Placement::new(sections, ContentType::Project), authorship, clock }
    }

    /// Projects by `sort_order`, the newest first among equals.
    pub async fn list(&self, wanted: ListProjects) -> Result<Listing<Project>, Error> {
        let ListProjects { section_id, featured_only, unpublished_for, page_request } = wanted;
        let filter = ProjectFilter {
            visibility: unpublished_for.as_ref().map_or(Visibility::Published, Visibility::with_unpublished),
            featured_only,
            section: Placement::filter(section_id.as_deref())?,
        };
        Ok(self.items.list(&filter, page_request).await?)
    }

    /// The project with this id.
    pub async fn by_id(&self, caller: &Caller, id: &str) -> Result<Revised<Project>, Error> {
        by_id(&self.items, ResourceKind::Project, Some(caller), id).await
    }

    /// The project with this slug, or the slug of the one that had it before.
    pub async fn by_slug(&self, caller: Option<&Caller>, slug: &str) -> Result<SlugLookup<Project>, Error> {
        by_slug(&self.items, ResourceKind::Project, caller, slug).await
    }

    /// Makes a project.
    pub async fn create(
        &self,
        caller: &Caller,
        project: WriteProject<ProjectText>,
    ) -> Result<Written<Project>, Error> {
        if !caller.may_create(self.authorship) {
            return Err(Error::MayNotCreate);
        }
        let WriteProject { mut text, section_id } = project;
        let slug = slugify(&text.title);
        let (section_id, name) =
            self.placement.for_new_and(section_id.as_deref(), self.items.reserve_slug(&slug)).await?;
        let Sanitized { html, removed } = sanitized(&text.content)?;
        text.content = html;
        let new = NewProject { text, user_id: caller.id, section_id };
        let stored = self.items.insert_with_slug(name, &new, self.clock.now()).await?;
        Ok(Written { revised: stored.revised, removed })
    }

    /// Changes a project; what is not named stays. The slug follows the title.
    pub async fn update(
        &self,
        caller: &Caller,
        id: &str,
        project: WriteProject<ProjectChange>,
        condition: &Precondition,
    ) -> Result<Written<Project>, Error> {
        let id = parse_id(ResourceKind::Project, id)?;
        let WriteProject { text: mut change, section_id } = project;
        let content = change.content.as_deref().map(sanitized).transpose()?;
        let (content, removed) = content.map(|Sanitized { html, removed }| (html, removed)).unzip();
        change.content = content;
        loop {
            let stored =
                changeable(ResourceKind::Project, caller, self.items.find_versioned(id).await?, condition)?;
            let held = &stored.revised.item;
            change.section_id =
                self.placement.for_change(held.section_id.as_deref(), section_id.as_deref()).await?;
            let now = self.clock.now();
            let new_title = change.title.as_deref().filter(|title| *title != held.text.title);
            let changed = match new_title.map(slugify) {
                None => self.items.change(&stored, &change, now).await?,
                Some(slug) => self.items.rename(&stored, &slug, &change, now).await?,
            };
            // Somebody else was first: from their state anew, if the condition allows it.
            if let Some(changed) = changed {
                return Ok(Written { revised: changed.revised, removed: removed.unwrap_or_default() });
            }
        }
    }

    /// Deletes a project, so that it can be restored.
    pub async fn delete(&self, caller: &Caller, id: &str, condition: &Precondition) -> Result<(), Error> {
        delete(&self.items, &*self.clock, ResourceKind::Project, caller, id, condition).await
    }
}
