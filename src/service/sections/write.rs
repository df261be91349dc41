use super::Sections;
use crate::domain::{
    Caller, ContentType, DisplayType, Id, MAX_SECTION_DEPTH, NavVisibility, NewSection, Patch,
    PlacementError, Precondition, Revised, Section, SectionChange, slugify,
};
use crate::service::content::{changeable, parse_id};
use crate::service::{Error, ResourceKind};

/// What a new section is made of. Its slug follows the title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateSection {
    /// Its title.
    pub title: String,
    /// The section it lies in; none is the root.
    pub parent_id: Option<String>,
    /// How its content is laid out.
    pub display_type: DisplayType,
    /// What it holds.
    pub content_type: ContentType,
    /// Where it is linked.
    pub nav_visibility: NavVisibility,
    /// Its place among its siblings, lowest first.
    pub sort_order: i64,
    /// Whether everybody may see it.
    pub is_published: bool,
}

/// What a section becomes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpdateSection {
    /// All but its place in the tree.
    pub change: SectionChange,
    /// The section it lies in from now on; none is the root.
    pub parent_id: Patch<String>,
    /// Its name in addresses. Of no account if the title changes: then it follows the title.
    pub slug: Option<String>,
}

impl Sections {
    /// Makes a section.
    pub async fn create(&self, caller: &Caller, section: CreateSection) -> Result<Revised<Section>, Error> {
        if !caller.may_create(self.authorship) {
            return Err(Error::MayNotCreate);
        }
        let Some(parent) = section.parent_id.clone() else {
            return self.insert(caller, section, None).await;
        };
        // What is refused is refused before the lock is taken, which is a write.
        self.parse_parent(None, &parent).await?;
        let (sections, caller) = (self.clone(), *caller);
        let work = async move {
            let parent = sections.parse_parent(None, &parent).await?;
            sections.insert(&caller, section, Some(parent)).await
        };
        self.tree.run_exclusive(work).await
    }

    async fn insert(
        &self,
        caller: &Caller,
        section: CreateSection,
        parent_id: Option<Id>,
    ) -> Result<Revised<Section>, Error> {
        let CreateSection {
            title,
            parent_id: _,
            display_type,
            content_type,
            nav_visibility,
            sort_order,
            is_published,
        } = section;
        let slug = slugify(&title);
        let new = NewSection {
            title,
            parent_id,
            display_type,
            content_type,
            nav_visibility,
            sort_order,
            is_published,
            user_id: caller.id,
        };
        let name = self.items.reserve_slug(&slug).await?;
        Ok(self.items.insert_with_slug(name, &new, self.clock.now()).await?.revised)
    }

    /// Changes a section.
    pub async fn update(
        &self,
        caller: &Caller,
        id: &str,
        update: &UpdateSection,
        condition: &Precondition,
    ) -> Result<Revised<Section>, Error> {
        let id = parse_id(ResourceKind::Section, id)?;
        // The lock is for those that move or take a name; one that is left where it is or goes to the root does no
        // harm. Taking it is a write, so what is refused is refused before.
        let exclusive = matches!(update.parent_id, Patch::Set(_)) || update.slug.is_some();
        if !exclusive {
            return self.change(caller, id, update, condition).await;
        }
        let stored =
            changeable(ResourceKind::Section, caller, self.items.find_versioned(id).await?, condition)?;
        self.change_of(&stored.revised.item, update).await?;
        let (sections, caller) = (self.clone(), *caller);
        let (update, condition) = (update.clone(), condition.clone());
        self.tree.run_exclusive(async move { sections.change(&caller, id, &update, &condition).await }).await
    }

    async fn change(
        &self,
        caller: &Caller,
        id: Id,
        update: &UpdateSection,
        condition: &Precondition,
    ) -> Result<Revised<Section>, Error> {
        loop {
            let stored =
                changeable(ResourceKind::Section, caller, self.items.find_versioned(id).await?, condition)?;
            let (change, slug) = self.change_of(&stored.revised.item, update).await?;
            let now = self.clock.now();
            let changed = match slug {
                None => self.items.change(&stored, &change, now).await?,
                Some(slug) => self.items.rename(&stored, &slug, &change, now).await?,
            };
            // Somebody else was first: from their state anew, if the condition allows it.
            if let Some(changed) = changed {
                return Ok(changed.revised);
            }
        }
    }

    /// What an update changes in a section as it is, and the slug that it gets, if it gets another.
    async fn change_of(
        &self,
        held: &Section,
        update: &UpdateSection,
    ) -> Result<(SectionChange, Option<String>), Error> {
        let parent_id = match &update.parent_id {
            // Where it is it may stay, even if its parent is gone.
            Patch::Set(named) if Some(named) != held.parent_id.as_ref() => {
                Patch::Set(self.parse_parent(Some(held.id), named).await?)
            }
            Patch::Clear => Patch::Clear,
            Patch::Set(_) | Patch::Keep => Patch::Keep,
        };
        let change = SectionChange { parent_id, ..update.change.clone() };
        Ok((change, self.new_slug(held, update).await?))
    }

    /// The slug that a section gets, if it changes. One that is asked for has to be free.
    async fn new_slug(&self, held: &Section, update: &UpdateSection) -> Result<Option<String>, Error> {
        if let Some(title) = update.change.title.as_deref().filter(|title| *title != held.title) {
            return Ok(Some(slugify(title)));
        }
        let Some(wanted) = &update.slug else { return Ok(None) };
        let slug = slugify(wanted);
        if slug.is_empty() {
            let expected = "has to have a letter or a digit".into();
            return Err(Error::InvalidField { field: "slug", expected });
        }
        if slug == held.slug {
            return Ok(None);
        }
        if self.items.find_by_slug(&slug).await?.is_some() {
            return Err(Error::Taken { field: "slug" });
        }
        Ok(Some(slug))
    }

    async fn parse_parent(&self, section: Option<Id>, named: &str) -> Result<Id, Error> {
        let wrong = |expected: String| Error::InvalidField { field: "parent_id", expected };
        let parent = Id::parse(named).map_err(|_| wrong("has to be an id: 24 hexadecimal digits".into()))?;
        self.items
            .tree()
            .await?
            .check_parent(section, parent)
            .map_err(|error| wrong(describe_placement(error)))?;
        Ok(parent)
    }
}

pub(super) fn describe_placement(error: PlacementError) -> String {
    match error {
        PlacementError::ParentNotFound => "has to name a section that exists".to_owned(),
        PlacementError::IntoItself => "cannot be the section itself".to_owned(),
        PlacementError::IntoDescendant => "cannot be a section that lies in this one".to_owned(),
        PlacementError::TooDeep => format!("would put sections deeper than {MAX_SECTION_DEPTH} levels"),
    }
}
