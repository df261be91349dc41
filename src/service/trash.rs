use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::content::parse_id;
use super::{Error, ResourceKind, Sections};
use crate::clock::Clock;
use crate::domain::{
    Caller, DeletedItem, Listing, Page, PageRequest, Project, Restored, Role, Section, Story, TrashType,
};
use crate::repository::{PageRestored, Repository};

/// What is deleted, and can be restored until it is purged. Cheap to clone.
#[derive(Clone)]
pub struct Trash {
    stories: Repository<Story>,
    projects: Repository<Project>,
    pages: Repository<Page>,
    deleted_sections: Repository<Section>,
    sections: Sections,
    clock: Arc<dyn Clock>,
}

impl Trash {
    /// The trash of these.
    pub fn new(
        stories: Repository<Story>,
        projects: Repository<Project>,
        pages: Repository<Page>,
        deleted_sections: Repository<Section>,
        sections: Sections,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { stories, projects, pages, deleted_sections, sections, clock }
    }

    /// What of one type is deleted, the latest first.
    pub async fn list(
        &self,
        caller: &Caller,
        kind: TrashType,
        page_request: PageRequest,
    ) -> Result<Listing<DeletedItem>, Error> {
        only_admins(caller)?;
        Ok(match kind {
            TrashType::Stories => self.stories.list_deleted(page_request).await?,
            TrashType::Projects => self.projects.list_deleted(page_request).await?,
            TrashType::Pages => self.pages.list_deleted(page_request).await?,
            TrashType::Sections => self.deleted_sections.list_deleted(page_request).await?,
        })
    }

    /// Makes something live again, under the name that it had; if that is taken, under the next suffix. A page has no
    /// suffixes.
    pub async fn restore(&self, caller: &Caller, kind: TrashType, id: &str) -> Result<Restored, Error> {
        only_admins(caller)?;
        let named = one_of(kind);
        let id = parse_id(named, id)?;
        let restored = match kind {
            TrashType::Stories => self.stories.restore(id).await?,
            TrashType::Projects => self.projects.restore(id).await?,
            TrashType::Pages => match self.pages.restore_page(id).await? {
                PageRestored::Done(restored) => Some(restored),
                PageRestored::NotThere => None,
                PageRestored::Taken(page_type) => return Err(Error::PageThere(page_type)),
            },
            TrashType::Sections => Some(self.sections.restore(id).await?),
        };
        let restored = restored.ok_or(Error::NotInTrash(named))?;
        tracing::info!(kind = kind.as_str(), id = %restored.id, slug = restored.slug, "restored from the trash");
        Ok(restored)
    }

    /// How many of a type have been deleted for so long.
    pub async fn count_older(&self, kind: TrashType, age: TimeDelta) -> Result<u64, Error> {
        let until = self.before(age);
        Ok(match kind {
            TrashType::Stories => self.stories.count_deleted_until(until).await?,
            TrashType::Projects => self.projects.count_deleted_until(until).await?,
            TrashType::Pages => self.pages.count_deleted_until(until).await?,
            TrashType::Sections => self.deleted_sections.count_deleted_until(until).await?,
        })
    }

    /// Removes for good what of a type has been deleted for so long; returns how many there were.
    pub async fn purge_older(&self, kind: TrashType, age: TimeDelta) -> Result<u64, Error> {
        let until = self.before(age);
        Ok(match kind {
            TrashType::Stories => self.stories.purge_deleted_until(until).await?,
            TrashType::Projects => self.projects.purge_deleted_until(until).await?,
            TrashType::Pages => self.pages.purge_deleted_until(until).await?,
            TrashType::Sections => self.deleted_sections.purge_deleted_until(until).await?,
        })
    }

    /// An age that reaches beyond the calendar reaches nothing.
    fn before(&self, age: TimeDelta) -> DateTime<Utc> {
        self.clock.now().checked_sub_signed(age).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }
}

fn only_admins(caller: &Caller) -> Result<(), Error> {
    if caller.role == Role::Admin { Ok(()) } else { Err(Error::NotAdmin) }
}

fn one_of(kind: TrashType) -> ResourceKind {
    match kind {
        TrashType::Stories => ResourceKind::Story,
        TrashType::Projects => ResourceKind::Project,
        TrashType::Pages => ResourceKind::Page,
        TrashType::Sections => ResourceKind::Section,
    }
}
