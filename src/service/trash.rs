use chrono::{DateTime, TimeDelta, Utc};

use super::content::parse_id;
use super::{Error, Library, Pages, Projects, Sections, Stories};
use crate::domain::{
    Caller, DeletedItem, Id, Item as _, Listing, Media, Page, PageRequest, Project, Restored, Role, Section,
    Story, TrashType,
};
use crate::repository::{Entity, PageRestore, Repository, Sluggable, SoftDelete};

/// Lists, restores and purges deleted items. Cheap to clone.
#[derive(Clone)]
pub struct Trash {
    stories: Stories,
    projects: Projects,
    pages: Pages,
    sections: Sections,
    library: Library,
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
            TrashType::Media => {
                let $items = &$trash.library.content.items;
                $body
            }
        }
    };
}

impl Trash {
    /// Creates the trash of these resources.
    pub fn new(
        stories: Stories,
        projects: Projects,
        pages: Pages,
        sections: Sections,
        library: Library,
    ) -> Self {
        Self { stories, projects, pages, sections, library }
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

    /// Restores an item under its former name, or under the next free suffix of its slug. The type of a page and the id of
    /// a file have no suffixes.
    pub async fn restore(&self, caller: &Caller, kind: TrashType, id: &str) -> Result<Restored, Error> {
        authorize(caller)?;
        let restored = match kind {
            TrashType::Stories => self.restore_slug(&self.stories.content.items, id).await?,
            TrashType::Projects => self.restore_slug(&self.projects.content.items, id).await?,
            TrashType::Pages => {
                match self.pages.content.items.restore_page(parse_id::<Page>(id)?, self.now()).await? {
                    PageRestore::Restored(restored) => restored,
                    PageRestore::NotFound => return Err(Error::NotInTrash(Page::NAME)),
                    PageRestore::TypeTaken(page_type) => return Err(Error::PageExists(page_type)),
                }
            }
            TrashType::Sections => self.sections.restore(parse_id::<Section>(id)?).await?,
            TrashType::Media => self.library.restore(parse_id::<Media>(id)?).await?,
        };
        let settled = match kind {
            TrashType::Stories => self.leave_deleted_section(&self.stories.content.items, restored.id).await,
            TrashType::Projects => {
                self.leave_deleted_section(&self.projects.content.items, restored.id).await
            }
            TrashType::Pages => self.leave_deleted_section(&self.pages.content.items, restored.id).await,
            TrashType::Sections | TrashType::Media => Ok(()),
        };
        settled.map_err(Error::after_write)?;
        tracing::info!(kind = kind.as_str(), id = %restored.id, slug = restored.slug, "restored from the trash");
        Ok(restored)
    }

    /// Removes a deleted item permanently.
    pub async fn purge(&self, caller: &Caller, kind: TrashType, id: &str) -> Result<(), Error> {
        authorize(caller)?;
        match kind {
            TrashType::Media => self.library.purge(parse_id::<Media>(id)?).await?,
            _ => with_items!(self, kind, |items| purge_item(items, id).await)?,
        }
        tracing::info!(kind = kind.as_str(), id, "deleted permanently");
        Ok(())
    }

    /// Counts the items of a type that were deleted at least `age` ago.
    pub async fn count_older(&self, kind: TrashType, age: TimeDelta) -> Result<u64, Error> {
        let until = self.before(age);
        Ok(with_items!(self, kind, |items| items.count_deleted_until(until).await)?)
    }

    /// Removes permanently the items of a type that were deleted at least `age` ago, and returns their number.
    pub async fn purge_older(&self, kind: TrashType, age: TimeDelta) -> Result<u64, Error> {
        let until = self.before(age);
        if kind == TrashType::Media {
            return self.library.purge_until(until).await;
        }
        Ok(with_items!(self, kind, |items| items.purge_deleted_until(until).await)?)
    }

    async fn restore_slug<E: Sluggable>(&self, items: &Repository<E>, id: &str) -> Result<Restored, Error> {
        let restored = items.restore(parse_id::<E>(id)?, self.now()).await?;
        restored.ok_or(Error::NotInTrash(E::NAME))
    }

    /// Takes a restored item out of its section, if that was deleted since.
    async fn leave_deleted_section<E: Placed>(&self, items: &Repository<E>, id: Id) -> Result<(), Error> {
        let item = items.find(id).await?;
        let section = item.as_ref().and_then(E::section_id).and_then(|section| Id::parse(section).ok());
        if let Some(section) = section
            && self.sections.content.items.find(section).await?.is_none()
        {
            items.leave_section(id, section).await?;
        }
        Ok(())
    }

    fn now(&self) -> DateTime<Utc> {
        self.sections.content.clock.now()
    }

    /// An age beyond the calendar selects nothing.
    fn before(&self, age: TimeDelta) -> DateTime<Utc> {
        self.now().checked_sub_signed(age).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }
}

async fn purge_item<E: SoftDelete>(items: &Repository<E>, id: &str) -> Result<(), Error> {
    let is_purged = items.purge_deleted(parse_id::<E>(id)?).await?;
    if is_purged { Ok(()) } else { Err(Error::NotInTrash(E::NAME)) }
}

/// An item that belongs to a section.
trait Placed: Entity {
    /// Returns the section it belongs to.
    fn section_id(&self) -> Option<&str>;
}

macro_rules! placed {
    ($($item:ident),+) => {$(
        impl Placed for $item {
            fn section_id(&self) -> Option<&str> {
                self.section_id.as_deref()
            }
        }
    )+};
}
placed!(Story, Project, Page);

fn authorize(caller: &Caller) -> Result<(), Error> {
    if caller.role == Role::Admin { Ok(()) } else { Err(Error::NotAdmin) }
}
