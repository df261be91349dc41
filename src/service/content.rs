//! The use cases that all resources share.

use std::sync::Arc;

use super::Error;
use super::sanitizer::{sanitize, sanitize_patch};
use crate::clock::Clock;
use crate::domain::{
    Authorship, Caller, ContentType, Id, Listing, PageRequest, PatchOf, Precondition, Project, ProjectFilter,
    Revised, Section, Story, StoryFilter, Visibility, slugify,
};
use crate::html::{Removed, Sanitized};
use crate::repository::{Change, Entity, New, Repository, Sluggable, Versioned};

/// The result of a lookup by slug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlugLookup<T> {
    /// The item has this slug.
    Current(Revised<T>),
    /// The item had this slug; the new one is given.
    Renamed(String),
}

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
    if precondition.holds(&stored.revised.revision) {
        Ok(stored)
    } else {
        Err(Error::Stale(stored.revised.revision))
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
        Ok(visible(caller, self.items.find_versioned(id).await?)?.revised)
    }

    /// Fails unless the caller may create content.
    pub(super) fn authorize_create(&self, caller: &Caller) -> Result<(), Error> {
        if caller.may_create(self.authorship) { Ok(()) } else { Err(Error::MayNotCreate) }
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

impl<E: Sluggable> Content<E> {
    /// Returns the item with this slug, or the new slug of the item that had it. A current slug wins over a former one.
    pub async fn by_slug(&self, caller: Option<&Caller>, slug: &str) -> Result<SlugLookup<E>, Error> {
        if let Some(stored) = self.items.find_versioned_by_slug(slug).await? {
            return Ok(SlugLookup::Current(visible(caller, Some(stored))?.revised));
        }
        let renamed = visible(caller, self.items.find_versioned_by_former_slug(slug).await?)?.revised;
        if renamed.item.slug() == slug {
            return Ok(SlugLookup::Current(renamed));
        }
        Ok(SlugLookup::Renamed(renamed.item.slug().to_owned()))
    }

    /// Updates an item, and renames it if it gets a new slug; `None` if it was changed since it was read.
    pub(super) async fn update_or_rename(
        &self,
        stored: &Versioned<E>,
        change: &Change<E>,
        new_slug: Option<&str>,
    ) -> Result<Option<Revised<E>>, Error> {
        let now = self.clock.now();
        let updated = match new_slug {
            None => self.items.update(stored, change, now).await?,
            Some(slug) => self.items.rename(stored, slug, change, now).await?,
        };
        Ok(updated.map(|updated| updated.revised))
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

    /// Creates an article.
    pub async fn create(&self, caller: &Caller, write: Write<E::Draft>) -> Result<Written<E>, Error> {
        self.content.authorize_create(caller)?;
        let Write { fields: mut draft, section_id } = write;
        let items = &self.content.items;
        let slug = slugify(E::text(&mut draft).0);
        // Neither lookup depends on the other.
        let (section_id, slug) = tokio::try_join!(self.placement.for_new(section_id.as_deref()), async {
            Ok(items.reserve_slug(&slug).await?)
        })?;
        let (_, content) = E::text(&mut draft);
        let Sanitized { html, removed } = sanitize(std::mem::take(content)).await?;
        *content = html;
        let new = New { draft, user_id: caller.id, section_id };
        let stored = items.insert_reserved(slug, &new, self.content.clock.now()).await?;
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
            change.section_id = self.placement.for_update(item.section_id(), section_id.as_deref()).await?;
            // Once, and only for a caller who may change the article.
            if removed.is_none() {
                removed = Some(sanitize_patch(E::patched_text(&mut change.patch).1).await?);
            }
            let new_title = title.as_deref().filter(|title| *title != item.title());
            let new_slug = new_title.map(slugify);
            // After a concurrent change, try again from the new state, if the precondition allows it.
            if let Some(revised) =
                self.content.update_or_rename(&stored, &change, new_slug.as_deref()).await?
            {
                return Ok(Written { revised, removed: removed.unwrap_or_default() });
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
        let visibility = Visibility::including_unpublished_of(drafts_for);
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
        let visibility = Visibility::including_unpublished_of(unpublished_for);
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

    /// Returns the section of a new item: the requested one, else the first of its content type.
    pub(super) async fn for_new(&self, requested: Option<&str>) -> Result<Option<Id>, Error> {
        match requested {
            Some(requested) => self.validate(requested).await.map(Some),
            None => Ok(self.sections.first_with(self.content_type).await?.map(|section| section.meta.id)),
        }
    }

    /// Returns the section that an item moves to, if it moves. It may stay in its section even if that was deleted.
    pub(super) async fn for_update(
        &self,
        current: Option<&str>,
        requested: Option<&str>,
    ) -> Result<Option<Id>, Error> {
        match requested {
            Some(requested) if Some(requested) != current => self.validate(requested).await.map(Some),
            _ => Ok(None),
        }
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

    async fn validate(&self, requested: &str) -> Result<Id, Error> {
        let invalid = |expected| Error::InvalidField { field: "section_id", expected };
        let id = Id::parse(requested).map_err(|_| invalid(EXPECTED_ID.to_owned()))?;
        match self.sections.find(id).await? {
            None => Err(invalid("must be the id of an existing section".to_owned())),
            Some(section) if section.draft.content_type != self.content_type => Err(invalid(format!(
                "must be the id of a section with content_type {}",
                self.content_type.as_str()
            ))),
            Some(_) => Ok(id),
        }
    }
}

/// The description of a valid id.
pub(super) const EXPECTED_ID: &str = "must be 24 hexadecimal digits";
