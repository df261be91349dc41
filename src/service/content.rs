//! The use cases that all resources share.

use std::sync::Arc;

use super::Error;
use super::sanitizer::{sanitize, sanitize_patch};
use crate::clock::Clock;
use crate::domain::{
    Authorship, Caller, ContentType, Id, IdempotencyKey, Item as _, Listing, PageRequest, PatchOf,
    Precondition, Project, ProjectFilter, Revised, Role, Section, SlugLookup, Story, StoryFilter, Visibility,
    slugify,
};
use crate::html::{Removed, Sanitized};
use crate::repository::{
    self, Change, CreateInProgress, Entity, New, Repository, Sluggable, SoftDelete, Versioned,
};

/// A draft or a patch that a caller wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write<T> {
    /// The draft or patch.
    pub fields: T,
    /// The section it belongs to. Without one, an existing item stays where it is and a new one goes to the first
    /// section of its content type.
    pub section_id: Option<String>,
}

/// An item that was created or updated, and what was removed from its HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written<T> {
    /// The item now.
    pub revised: Revised<T>,
    /// The elements and attributes that were removed.
    pub removed: Vec<Removed>,
}

pub(super) fn parse_id<E: Entity>(text: &str) -> Result<Id, Error> {
    Id::parse(text).map_err(|_| Error::InvalidId(E::NAME))
}

/// Returns the item if the caller may see it.
pub(super) fn visible<E: Entity>(
    caller: Option<&Caller>,
    stored: Option<Versioned<E>>,
) -> Result<Versioned<E>, Error> {
    stored.filter(|stored| stored.revised.item.is_visible_to(caller)).ok_or(Error::NotFound(E::NAME))
}

/// Returns the item if the caller may change it and it meets the precondition.
pub(super) fn editable<E: Entity>(
    caller: &Caller,
    stored: Option<Versioned<E>>,
    precondition: &Precondition,
) -> Result<Versioned<E>, Error> {
    let stored = visible(Some(caller), stored)?;
    if !caller.may_edit(stored.revised.item.meta().user_id.as_deref()) {
        return Err(Error::MayNotChange);
    }
    unchanged(stored, precondition)
}

/// Returns the item if it meets the precondition.
pub(super) fn unchanged<E>(stored: Versioned<E>, precondition: &Precondition) -> Result<Versioned<E>, Error> {
    let revision = Some(&stored.revised.revision);
    if !precondition.accepts(revision) {
        Err(Error::Stale(stored.revised.revision))
    } else if precondition.excludes(revision) {
        Err(Error::Exists(stored.revised.revision))
    } else {
        Ok(stored)
    }
}

/// The use cases of every resource. Cheap to clone.
#[derive(Clone)]
pub struct Content<E> {
    pub(super) items: Repository<E>,
    pub(super) clock: Arc<dyn Clock>,
    authorship: Authorship,
}

impl<E: Entity> Content<E> {
    /// Stores items in `items`.
    pub fn new(items: Repository<E>, authorship: Authorship, clock: Arc<dyn Clock>) -> Self {
        Self { items, clock, authorship }
    }

    /// Returns the item with this id.
    pub async fn by_id(&self, caller: Option<&Caller>, id: &str) -> Result<Revised<E>, Error> {
        let id = parse_id::<E>(id)?;
        let visibility = visible_to(caller);
        let found = self.items.find_visible(id, visibility).await?.ok_or(Error::NotFound(E::NAME))?;
        Ok(found.revised)
    }

    /// Fails unless the caller may create content.
    pub(super) fn authorize_create(&self, caller: &Caller) -> Result<(), Error> {
        if caller.may_create(self.authorship) { Ok(()) } else { Err(Error::MayNotCreate) }
    }

    /// Begins a create. Returns the item that an earlier one with the same key created, as it was then.
    pub(super) async fn begin_create(
        &self,
        caller: &Caller,
        key: Option<&IdempotencyKey>,
    ) -> Result<(Option<CreateInProgress>, Option<Revised<E>>), Error> {
        self.authorize_create(caller)?;
        let Some(key) = key else { return Ok((None, None)) };
        let (create, created) = self.items.begin_create(caller.id, key, self.clock.now()).await?;
        Ok((Some(create), created.map(|created| created.revised)))
    }

    pub(super) async fn find_editable(
        &self,
        caller: &Caller,
        id: Id,
        precondition: &Precondition,
    ) -> Result<Versioned<E>, Error> {
        editable(caller, self.items.find_versioned(id).await?, precondition)
    }
}

impl<E: SoftDelete> Content<E> {
    /// Returns the item that this slug, or type of a page, leads to for a caller, or its new one.
    pub async fn by_slug(&self, caller: Option<&Caller>, slug: &str) -> Result<SlugLookup<E>, Error> {
        let visibility = visible_to(caller);
        self.items.find_by_name(slug, visibility).await?.ok_or(Error::NotFound(E::NAME))
    }
}

impl<E: Sluggable> Content<E> {
    /// Updates an item, and renames it if it gets a new slug; `None` if it was changed since it was read.
    pub(super) async fn update_or_rename(
        &self,
        stored: &Versioned<E>,
        change: &Change<E>,
        new_slug: Option<&str>,
    ) -> Result<Option<Versioned<E>>, Error> {
        let now = self.clock.now();
        Ok(match new_slug {
            None => self.items.update(stored, change, now).await?,
            Some(slug) => self.items.rename(stored, slug, change, now).await?,
        })
    }
}

/// An item with an HTML text, a slug that follows its title, and a section.
pub trait Article: Sluggable {
    /// The type of the sections it can belong to.
    const CONTENT_TYPE: ContentType;

    /// Returns its title.
    fn title(&self) -> &str;

    /// Returns the section it belongs to.
    fn section_id(&self) -> Option<&str>;

    /// Returns the title and the HTML text of a draft.
    fn text(draft: &mut Self::Draft) -> (&str, &mut String);

    /// Returns the title and the HTML text of a patch.
    fn patched_text(patch: &mut PatchOf<Self>) -> (Option<&str>, &mut Option<String>);
}

macro_rules! article {
    ($($item:ident),+) => {$(
        impl Article for $item {
            const CONTENT_TYPE: ContentType = ContentType::$item;

            fn title(&self) -> &str {
                &self.draft.title
            }

            fn section_id(&self) -> Option<&str> {
                self.section_id.as_deref()
            }

            fn text(draft: &mut Self::Draft) -> (&str, &mut String) {
                (&draft.title, &mut draft.content)
            }

            fn patched_text(patch: &mut PatchOf<Self>) -> (Option<&str>, &mut Option<String>) {
                (patch.title.as_deref(), &mut patch.content)
            }
        }
    )+};
}
article!(Story, Project);

/// The use cases of articles. Cheap to clone.
#[derive(Clone)]
pub struct Articles<E> {
    /// The use cases that all resources share.
    pub content: Content<E>,
    placement: Placement,
}

impl<E: Article> Articles<E> {
    /// Stores articles in `items`, each in one of `sections`.
    pub fn new(
        items: Repository<E>,
        sections: Repository<Section>,
        authorship: Authorship,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let placement = Placement::new(sections, E::CONTENT_TYPE);
        Self { content: Content::new(items, authorship, clock), placement }
    }

    /// Creates an article, unless an earlier request with the same key did.
    pub async fn create(
        &self,
        caller: &Caller,
        write: Write<E::Draft>,
        key: Option<IdempotencyKey>,
    ) -> Result<Written<E>, Error> {
        let (_create, created) = self.content.begin_create(caller, key.as_ref()).await?;
        let Write { fields: mut draft, section_id } = write;
        let items = &self.content.items;
        let (title, content) = E::text(&mut draft);
        let (slug, content) = (slugify(title), std::mem::take(content));
        if let Some(revised) = created {
            return Ok(Written { revised, removed: sanitize(content).await?.removed });
        }
        // Neither depends on the other.
        let section = self.placement.for_new(caller, section_id.as_deref());
        let (section_id, Sanitized { html, removed }) = tokio::try_join!(section, sanitize(content))?;
        *E::text(&mut draft).1 = html;
        let new = New { draft, user_id: caller.id, section_id, key };
        let stored = items.insert_under_slug(&slug, &new, self.content.clock.now()).await?;
        let stored = self.placement.settle(items, stored, section_id).await?;
        Ok(Written { revised: stored.revised, removed })
    }

    /// Updates an article. Its slug follows the title.
    pub async fn update(
        &self,
        caller: &Caller,
        id: &str,
        write: Write<impl Into<PatchOf<E>>>,
        precondition: &Precondition,
    ) -> Result<Written<E>, Error> {
        let id = parse_id::<E>(id)?;
        let Write { fields, section_id } = write;
        let mut change = Change { patch: fields.into(), section_id: None };
        let title = E::patched_text(&mut change.patch).0.map(str::to_owned);
        let mut removed = None;
        loop {
            let stored = self.content.find_editable(caller, id, precondition).await?;
            let item = &stored.revised.item;
            change.section_id =
                self.placement.for_update(caller, item.section_id(), section_id.as_deref()).await?;
            // Once, and only for a caller who may change the article.
            if removed.is_none() {
                removed = Some(sanitize_patch(E::patched_text(&mut change.patch).1).await?);
            }
            let new_title = title.as_deref().filter(|title| *title != item.title());
            let new_slug = new_title.map(slugify);
            // After a concurrent change, try again from the new state, if the precondition allows it.
            if let Some(updated) =
                self.content.update_or_rename(&stored, &change, new_slug.as_deref()).await?
            {
                let settled = self.placement.settle(&self.content.items, updated, change.section_id).await?;
                return Ok(Written { revised: settled.revised, removed: removed.unwrap_or_default() });
            }
        }
    }

    /// Deletes an article, so that it can be restored.
    pub async fn delete(&self, caller: &Caller, id: &str, precondition: &Precondition) -> Result<(), Error> {
        let id = parse_id::<E>(id)?;
        loop {
            let stored = self.content.find_editable(caller, id, precondition).await?;
            // After a concurrent change, try again if the precondition allows it.
            if self.content.items.delete(&stored, self.content.clock.now()).await? {
                return Ok(());
            }
        }
    }
}

/// The use cases of stories. Cheap to clone.
pub type Stories = Articles<Story>;

impl Stories {
    /// Lists stories, newest first: published ones and the drafts that `drafts_for` may see, of one section if it is
    /// given.
    pub async fn list(
        &self,
        drafts_for: Option<&Caller>,
        section_id: Option<&str>,
        page: PageRequest,
    ) -> Result<Listing<Story>, Error> {
        let visibility = visible_to(drafts_for);
        let filter = StoryFilter { visibility, section: Placement::filter(section_id)? };
        Ok(self.content.items.list(&filter, page).await?)
    }
}

/// The use cases of projects. Cheap to clone.
pub type Projects = Articles<Project>;

impl Projects {
    /// Lists projects by `sort_order`, then newest first: published ones and those that `unpublished_for` may see, of
    /// one section if it is given.
    pub async fn list(
        &self,
        unpublished_for: Option<&Caller>,
        section_id: Option<&str>,
        featured_only: bool,
        page: PageRequest,
    ) -> Result<Listing<Project>, Error> {
        let visibility = visible_to(unpublished_for);
        let filter = ProjectFilter { visibility, featured_only, section: Placement::filter(section_id)? };
        Ok(self.content.items.list(&filter, page).await?)
    }
}

/// Finds sections for one type of content. Cheap to clone.
#[derive(Clone)]
pub(super) struct Placement {
    pub(super) sections: Repository<Section>,
    content_type: ContentType,
}

impl Placement {
    pub(super) fn new(sections: Repository<Section>, content_type: ContentType) -> Self {
        Self { sections, content_type }
    }

    /// Returns the section of a new item: the requested one, else the default for its content type.
    pub(super) async fn for_new(
        &self,
        caller: &Caller,
        requested: Option<&str>,
    ) -> Result<Option<Id>, Error> {
        match requested {
            Some(requested) => {
                let expected = || invalid("must be the id of an existing section".to_owned());
                self.validate(caller, requested).await?.ok_or_else(expected).map(Some)
            }
            None => Ok(self.sections.default_for(self.content_type).await?.map(|section| section.meta.id)),
        }
    }

    /// Returns the section that an item moves to, if it moves. It may stay in its section even if that was deleted. A
    /// client that sends all fields back may name a section that was deleted since; the item stays where it is.
    pub(super) async fn for_update(
        &self,
        caller: &Caller,
        current: Option<&str>,
        requested: Option<&str>,
    ) -> Result<Option<Id>, Error> {
        match requested {
            Some(requested) if Some(requested) != current => self.validate(caller, requested).await,
            _ => Ok(None),
        }
    }

    /// Takes an item out of the section that a write put it into, if the section was deleted since it was validated: the
    /// deletion may not have seen the item.
    pub(super) async fn settle<E: Entity>(
        &self,
        items: &Repository<E>,
        written: Versioned<E>,
        section: Option<Id>,
    ) -> Result<Versioned<E>, Error> {
        let Some(section) = section else { return Ok(written) };
        if self.sections.find(section).await.map_err(repository::Error::after_write)?.is_some() {
            return Ok(written);
        }
        let settled = items.leave_section(written.revised.item.meta().id, section).await;
        let settled = settled.map_err(repository::Error::after_write)?;
        Ok(settled.unwrap_or(written))
    }

    /// Parses the section that a list is filtered by.
    fn filter(requested: Option<&str>) -> Result<Option<Id>, Error> {
        let parse = |text| {
            Id::parse(text).map_err(|_| Error::InvalidParameter {
                parameter: "section_id",
                expected: EXPECTED_ID.into(),
            })
        };
        requested.map(parse).transpose()
    }

    /// Returns the id of a section that a caller requests; `None` if it was deleted.
    async fn validate(&self, caller: &Caller, requested: &str) -> Result<Option<Id>, Error> {
        let id = Id::parse(requested).map_err(|_| invalid(EXPECTED_ID.to_owned()))?;
        let section = self.sections.find(id).await?.filter(|section| section.is_visible_to(Some(caller)));
        match section {
            None if self.sections.find_deleted(id).await?.is_some() => Ok(None),
            None => Err(invalid("must be the id of an existing section".to_owned())),
            Some(section) if section.draft.content_type != self.content_type => Err(invalid(format!(
                "must be the id of a section with content_type {}",
                self.content_type.as_str()
            ))),
            Some(_) => Ok(Some(id)),
        }
    }
}

/// Returns what reads that include unpublished items show: to administrators everything, to others their own, without a caller
/// none.
pub(super) fn visible_to(caller: Option<&Caller>) -> Visibility {
    match caller {
        None => Visibility::Published,
        Some(Caller { role: Role::Admin, .. }) => Visibility::All,
        Some(Caller { role: Role::Author | Role::Commenter, id }) => Visibility::PublishedOrOwned(*id),
    }
}

fn invalid(expected: String) -> Error {
    Error::InvalidField { field: "section_id", expected }
}

/// The description of a valid id.
pub(super) const EXPECTED_ID: &str = "must be 24 hexadecimal digits";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpublished_items_are_included_for_owners_and_admins() {
        let id = Id::parse("65a0b1c2d3e4f50617283940").expect("an id");
        let of = |role| visible_to(Some(&Caller { id, role }));
        assert_eq!(of(Role::Admin), Visibility::All);
        assert_eq!([of(Role::Author), of(Role::Commenter)], [Visibility::PublishedOrOwned(id); 2]);
        assert_eq!(visible_to(None), Visibility::Published);
    }
}
