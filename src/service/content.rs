//! What use cases of all content have in common.

use super::{Error, ResourceKind};
use crate::clock::Clock;
use crate::domain::{Caller, ContentType, Id, Item, Precondition, Revised, Section};
use crate::html::{self, Removed, Sanitized};
use crate::repository::{self, Repository, Sluggable, Versioned, Writable};

/// What is at a slug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlugLookup<T> {
    /// The item.
    Current(Revised<T>),
    /// The item that had it; its slug is this one now.
    Renamed(String),
}

/// What was written of an item with content, and what of the content was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written<T> {
    /// The item as it is now.
    pub revised: Revised<T>,
    /// What was removed from its content.
    pub removed: Vec<Removed>,
}

/// Content, sanitized. Content of which nothing may be kept is no content.
pub(super) fn sanitized(content: &str) -> Result<Sanitized, Error> {
    let sanitized = html::sanitize(content);
    if sanitized.html.is_empty() {
        return Err(Error::InvalidField {
            field: "content",
            expected: "has to hold something else than what is removed from content".into(),
        });
    }
    Ok(sanitized)
}

/// An id, as text.
pub(super) fn parse_id(kind: ResourceKind, text: &str) -> Result<Id, Error> {
    Id::parse(text).map_err(|_| Error::InvalidId(kind))
}

/// To those who may not see an item, it is not there.
pub(super) fn visible<E: Item>(
    kind: ResourceKind,
    caller: Option<&Caller>,
    stored: Option<Versioned<E>>,
) -> Result<Versioned<E>, Error> {
    stored.filter(|stored| stored.revised.item.is_visible_to(caller)).ok_or(Error::NotFound(kind))
}

/// The item, if the caller may change it and it is in the state that they know.
pub(super) fn changeable<E: Item>(
    kind: ResourceKind,
    caller: &Caller,
    stored: Option<Versioned<E>>,
    condition: &Precondition,
) -> Result<Versioned<E>, Error> {
    let stored = visible(kind, Some(caller), stored)?;
    if !caller.may_change(stored.revised.item.owner()) {
        return Err(Error::MayNotChange);
    }
    if !condition.holds(&stored.revised.revision) {
        return Err(Error::Stale(stored.revised.revision));
    }
    Ok(stored)
}

/// The item with this id.
pub(super) async fn by_id<E: Writable + Item>(
    items: &Repository<E>,
    kind: ResourceKind,
    caller: Option<&Caller>,
    id: &str,
) -> Result<Revised<E>, Error> {
    let id = parse_id(kind, id)?;
    Ok(visible(kind, caller, items.find_versioned(id).await?)?.revised)
}

/// The item with this slug. A live item wins over one that had the slug before.
pub(super) async fn by_slug<E: Sluggable + Item>(
    items: &Repository<E>,
    kind: ResourceKind,
    caller: Option<&Caller>,
    slug: &str,
) -> Result<SlugLookup<E>, Error> {
    if let Some(stored) = items.find_versioned_by_slug(slug).await? {
        return Ok(SlugLookup::Current(visible(kind, caller, Some(stored))?.revised));
    }
    let moved = visible(kind, caller, items.find_versioned_by_former_slug(slug).await?)?.revised;
    if moved.item.slug() == slug {
        return Ok(SlugLookup::Current(moved));
    }
    Ok(SlugLookup::Renamed(moved.item.slug().to_owned()))
}

/// Deletes an item, so that it can be restored.
pub(super) async fn delete<E: Writable + Item>(
    items: &Repository<E>,
    clock: &dyn Clock,
    kind: ResourceKind,
    caller: &Caller,
    id: &str,
    condition: &Precondition,
) -> Result<(), Error> {
    let id = parse_id(kind, id)?;
    loop {
        let stored = changeable(kind, caller, items.find_versioned(id).await?, condition)?;
        // Somebody else changed it meanwhile: without a condition that does not matter, with one it is seen above.
        if items.delete(&stored, clock.now()).await? {
            return Ok(());
        }
    }
}

/// Finds sections for one kind of content. Cheap to clone.
#[derive(Clone)]
pub(super) struct Placement {
    sections: Repository<Section>,
    content: ContentType,
}

impl Placement {
    pub(super) fn new(sections: Repository<Section>, content: ContentType) -> Self {
        Self { sections, content }
    }

    /// The section for something new: the one that is named, else the first that fits.
    pub(super) async fn for_new(&self, named: Option<&str>) -> Result<Option<Id>, Error> {
        match named {
            Some(named) => self.check(named).await.map(Some),
            None => Ok(self.sections.first_of(self.content).await?.map(|section| section.id)),
        }
    }

    /// As [`Placement::for_new`], while something else is looked for that does not depend on it.
    pub(super) async fn for_new_and<T>(
        &self,
        named: Option<&str>,
        other: impl Future<Output = Result<T, repository::Error>>,
    ) -> Result<(Option<Id>, T), Error> {
        tokio::try_join!(self.for_new(named), async { Ok(other.await?) })
    }

    /// The section that something moves to, if it moves. Where it is it may stay, even if the section is gone.
    pub(super) async fn for_change(
        &self,
        held: Option<&str>,
        named: Option<&str>,
    ) -> Result<Option<Id>, Error> {
        match named {
            Some(named) if Some(named) != held => self.check(named).await.map(Some),
            _ => Ok(None),
        }
    }

    /// The section that a list is filtered by.
    pub(super) fn filter(named: Option<&str>) -> Result<Option<Id>, Error> {
        named
            .map(|named| {
                Id::parse(named).map_err(|_| Error::InvalidParameter {
                    parameter: "section_id",
                    expected: "24 hexadecimal digits".into(),
                })
            })
            .transpose()
    }

    async fn check(&self, named: &str) -> Result<Id, Error> {
        let wrong = |expected| Error::InvalidField { field: "section_id", expected };
        let id = Id::parse(named).map_err(|_| wrong("has to be an id: 24 hexadecimal digits".to_owned()))?;
        match self.sections.find(id).await? {
            None => Err(wrong("has to name a section that exists".to_owned())),
            Some(section) if section.content_type != self.content => {
                Err(wrong(format!("has to name a section whose content_type is {}", self.content.as_str())))
            }
            Some(_) => Ok(id),
        }
    }
}
