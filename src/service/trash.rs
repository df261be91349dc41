use chrono::{DateTime, TimeDelta, Utc};

use super::content::parse_id;
use super::{Error, Pages, Projects, Sections, Stories};
use crate::domain::{
    Caller, DeletedItem, Item as _, Listing, Page, PageRequest, Restored, Role, Section, TrashType,
};
use crate::repository::{PageRestore, Repository, Sluggable};

/// Lists, restores and purges deleted items. Cheap to clone.
#[derive(Clone)]
pub struct Trash {
    stories: Stories,
    projects: Projects,
    pages: Pages,
    sections: Sections,
}

/// Evaluates an expression with the repository of a type.
macro_rules! with_items {
    ($trash:ident, $kind:expr, |$items:ident| $body:expr) => {
        match $kind {
            TrashType::Stories => {
                let $items = &$trash.stories.content.items;
                $body
            }
            TrashType::Projects => {
                let $items = &$trash.projects.content.items;
                $body
            }
            TrashType::Pages => {
                let $items = &$trash.pages.content.items;
                $body
            }
            TrashType::Sections => {
                let $items = &$trash.sections.content.items;
                $body
            }
        }
    };
}

impl Trash {
    /// Creates the trash of these resources.
    pub fn new(stories: Stories, projects: Projects, pages: Pages, sections: Sections) -> Self {
        Self { stories, projects, pages, sections }
    }

    /// Lists the deleted items of a type, the last deleted first.
    pub async fn list(
        &self,
        caller: &Caller,
        kind: TrashType,
        page_request: PageRequest,
    ) -> Result<Listing<DeletedItem>, Error> {
        authorize(caller)?;
        Ok(with_items!(self, kind, |items| items.list_deleted(page_request).await)?)
    }

    /// Restores an item under its former name, or under the next free suffix of its slug. A page type has no suffixes.
    pub async fn restore(&self, caller: &Caller, kind: TrashType, id: &str) -> Result<Restored, Error> {
        authorize(caller)?;
        let restored = match kind {
            TrashType::Stories => restore(&self.stories.content.items, id).await?,
            TrashType::Projects => restore(&self.projects.content.items, id).await?,
            TrashType::Pages => match self.pages.content.items.restore_page(parse_id::<Page>(id)?).await? {
                PageRestore::Restored(restored) => restored,
                PageRestore::NotFound => return Err(Error::NotInTrash(Page::NAME)),
                PageRestore::TypeTaken(page_type) => return Err(Error::PageExists(page_type)),
            },
            TrashType::Sections => self.sections.restore(parse_id::<Section>(id)?).await?,
        };
        tracing::info!(kind = kind.as_str(), id = %restored.id, slug = restored.slug, "restored from the trash");
        Ok(restored)
    }

    /// Counts the items of a type that were deleted at least `age` ago.
    pub async fn count_older(&self, kind: TrashType, age: TimeDelta) -> Result<u64, Error> {
        let until = self.before(age);
        Ok(with_items!(self, kind, |items| items.count_deleted_until(until).await)?)
    }

    /// Removes permanently the items of a type that were deleted at least `age` ago, and returns their number.
    pub async fn purge_older(&self, kind: TrashType, age: TimeDelta) -> Result<u64, Error> {
        let until = self.before(age);
        Ok(with_items!(self, kind, |items| items.purge_deleted_until(until).await)?)
    }

    /// An age beyond the calendar selects nothing.
    fn before(&self, age: TimeDelta) -> DateTime<Utc> {
        self.sections.content.clock.now().checked_sub_signed(age).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }
}

async fn restore<E: Sluggable>(items: &Repository<E>, id: &str) -> Result<Restored, Error> {
    items.restore(parse_id::<E>(id)?).await?.ok_or(Error::NotInTrash(E::NAME))
}

fn authorize(caller: &Caller) -> Result<(), Error> {
    if caller.role == Role::Admin { Ok(()) } else { Err(Error::NotAdmin) }
}
