//! Sections, which form a tree.
//!
//! Changes of the tree run under the `TreeLock`. Taking it is a write, so a request is validated before, to reject it
//! without one, and again under the lock.

use std::collections::HashSet;
use std::sync::Arc;

use super::Error;
use super::content::{Content, EXPECTED_ID, editable, parse_id, visible_to};
use crate::clock::Clock;
use crate::domain::{
    Authorship, Caller, ContentType, Id, IdempotencyKey, Item as _, Listing, MAX_SECTION_DEPTH,
    NavVisibility, Page, PageRequest, ParentFilter, Patch, PlacementError, Precondition, Restored, Revised,
    Role, Section, SectionDraft, SectionFilter, SectionPatch, nth_slug, slugify,
};
use crate::repository::{Change, ContentCounts, New, Repository, SectionContents, TreeLock, Versioned};

/// An update of a section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpdateSection {
    /// The changed fields.
    pub patch: SectionPatch,
    /// The new slug. If the title changes it is ignored, since the slug follows the title.
    pub slug: Option<String>,
}

/// The new place of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionPlace {
    /// The section.
    pub id: String,
    /// Its position among its siblings.
    pub sort_order: i64,
    /// Its parent.
    pub parent_id: Patch<String>,
}

/// The handling of a deleted section's contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnDelete {
    /// Rejects the deletion of a section that is not empty.
    Reject,
    /// Moves the contents to the section with this id.
    Reassign(String),
    /// Moves child sections up to the section's parent, and leaves content without a section.
    Orphan,
}

/// The use cases of sections. Cheap to clone.
#[derive(Clone)]
pub struct Sections {
    /// The use cases that all resources share.
    pub content: Content<Section>,
    contents: SectionContents,
    pages: Repository<Page>,
    tree_lock: TreeLock,
}

impl Sections {
    /// Stores sections in `sections`; their contents are in `contents`, the pages among them in `pages`. Changes of the
    /// tree run under `tree_lock`.
    pub fn new(
        sections: Repository<Section>,
        contents: SectionContents,
        pages: Repository<Page>,
        tree_lock: TreeLock,
        authorship: Authorship,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { content: Content::new(sections, authorship, clock), contents, pages, tree_lock }
    }

    /// Lists sections by `sort_order`, then newest first: published ones and those that `unpublished_for` may see.
    /// `parent_id` selects the children of a section, or with `null` the sections at the root; `nav_visibility` selects
    /// the sections that a menu links to.
    pub async fn list(
        &self,
        unpublished_for: Option<&Caller>,
        parent_id: Option<&str>,
        nav_visibility: Option<&str>,
        page: PageRequest,
    ) -> Result<Listing<Section>, Error> {
        let filter = SectionFilter {
            visibility: visible_to(unpublished_for),
            parent: parent_id.map(parse_parent_filter).transpose()?,
            nav_visibility: nav_visibility.map(parse_nav_visibility).transpose()?,
        };
        Ok(self.content.items.list(&filter, page).await?)
    }

    /// Creates a section, unless an earlier request with the same key did.
    pub async fn create(
        &self,
        caller: &Caller,
        mut draft: SectionDraft,
        key: Option<IdempotencyKey>,
    ) -> Result<Revised<Section>, Error> {
        let (_create, created) = self.content.begin_create(caller, key.as_ref()).await?;
        if let Some(created) = created {
            return Ok(created);
        }
        let Some(parent) = draft.parent_id.clone() else {
            return self.insert(caller.id, draft, key).await;
        };
        self.validate_parent(caller, None, &parent).await?;
        let (sections, caller) = (self.clone(), *caller);
        let work = async move {
            draft.parent_id = Some(sections.validate_parent(&caller, None, &parent).await?);
            sections.insert(caller.id, draft, key).await
        };
        self.tree_lock.run_exclusive(work).await
    }

    async fn insert(
        &self,
        user_id: Id,
        draft: SectionDraft,
        key: Option<IdempotencyKey>,
    ) -> Result<Revised<Section>, Error> {
        let items = &self.content.items;
        let slug = self.slug_beside_pages(None, draft.content_type, slugify(&draft.title)).await?;
        let new = New { draft, user_id, section_id: None, key };
        Ok(items.insert_under_slug(&slug, &new, self.content.clock.now()).await?.revised)
    }

    /// Updates a section.
    pub async fn update(
        &self,
        caller: &Caller,
        id: &str,
        update: &UpdateSection,
        precondition: &Precondition,
    ) -> Result<Revised<Section>, Error> {
        let id = parse_id::<Section>(id)?;
        // Only an update that may set a parent, a slug or a type of content can conflict with others.
        let UpdateSection { patch, slug } = update;
        let exclusive = matches!(patch.parent_id, Patch::Set(_))
            || slug.is_some()
            || patch.title.is_some()
            || patch.content_type.is_some();
        if !exclusive {
            return self.update_unlocked(caller, id, update, precondition).await;
        }
        let stored = self.content.find_editable(caller, id, precondition).await?;
        self.validate_update(caller, &stored.revised.item, update).await?;
        let (sections, caller) = (self.clone(), *caller);
        let (update, precondition) = (update.clone(), precondition.clone());
        let work = async move { sections.update_unlocked(&caller, id, &update, &precondition).await };
        self.tree_lock.run_exclusive(work).await
    }

    async fn update_unlocked(
        &self,
        caller: &Caller,
        id: Id,
        update: &UpdateSection,
        precondition: &Precondition,
    ) -> Result<Revised<Section>, Error> {
        loop {
            let stored = self.content.find_editable(caller, id, precondition).await?;
            let (patch, slug) = self.validate_update(caller, &stored.revised.item, update).await?;
            let change = Change { patch, section_id: None };
            // After a concurrent change, try again from the new state, if the precondition allows it.
            if let Some(updated) = self.content.update_or_rename(&stored, &change, slug.as_deref()).await? {
                let renamed = self.rename_page(&stored.revised.item, &updated.revised.item).await;
                renamed.map_err(Error::after_write)?;
                return Ok(updated.revised);
            }
        }
    }

    /// Renames the page of a section that got another slug.
    async fn rename_page(&self, before: &Section, now: &Section) -> Result<(), Error> {
        if before.slug != now.slug && before.draft.content_type == ContentType::Page {
            let at = self.content.clock.now();
            self.pages.follow_section(now.meta.id, &before.slug, &now.slug, at).await?;
        }
        Ok(())
    }

    /// Returns the patch of a section, and its new slug if it gets one.
    async fn validate_update(
        &self,
        caller: &Caller,
        current: &Section,
        update: &UpdateSection,
    ) -> Result<(SectionPatch, Option<String>), Error> {
        let mut patch = update.patch.clone();
        if let Some(content_type) = patch.content_type.filter(|new| *new != current.draft.content_type) {
            let counts = self.contents.count(current.meta.id).await?;
            if counts.content.iter().any(|(held, _)| *held != content_type) {
                let content = ContentCounts { sections: 0, ..counts };
                return Err(Error::ContentTypeInUse(describe_counts(&content)));
            }
        }
        if let Patch::Set(parent) = &patch.parent_id {
            // The section may stay where it is even if its parent was deleted.
            patch.parent_id = if current.draft.parent_id.as_ref() == Some(parent) {
                Patch::Keep
            } else {
                Patch::Set(self.validate_parent(caller, Some(current.meta.id), parent).await?)
            };
        }
        Ok((patch, self.new_slug(current, update).await?))
    }

    /// Returns the new slug of a section, if it changes. A requested slug must be free.
    async fn new_slug(&self, current: &Section, update: &UpdateSection) -> Result<Option<String>, Error> {
        let title = update.patch.title.as_deref();
        if let Some(title) = title.filter(|title| *title != current.draft.title) {
            let slug = slugify(title);
            let slug =
                self.slug_beside_pages(Some(current.meta.id), current.draft.content_type, slug).await?;
            return Ok(Some(slug));
        }
        let Some(requested) = &update.slug else { return Ok(None) };
        let slug = slugify(requested);
        if slug.is_empty() {
            let expected = "must contain a letter or a digit".into();
            return Err(Error::InvalidField { field: "slug", expected });
        }
        if slug == current.slug {
            return Ok(None);
        }
        let free =
            self.slug_beside_pages(Some(current.meta.id), current.draft.content_type, slug.clone()).await?;
        if free != slug || self.content.items.find_by_slug(&slug).await?.is_some() {
            return Err(Error::Taken { field: "slug" });
        }
        Ok(Some(slug))
    }

    /// Returns a slug, or its first suffix, under which no page of another section is found: a section of pages has the
    /// address of its page.
    async fn slug_beside_pages(
        &self,
        section: Option<Id>,
        content_type: ContentType,
        slug: String,
    ) -> Result<String, Error> {
        if content_type != ContentType::Page {
            return Ok(slug);
        }
        let mut n = 1;
        loop {
            let candidate = nth_slug(&slug, n);
            let page = self.pages.find_versioned_by_type(&candidate).await?;
            let owner = page.and_then(|page| Id::parse(page.revised.item.section_id.as_deref()?).ok());
            let Some(owner) = owner.filter(|owner| Some(*owner) != section) else { return Ok(candidate) };
            // The page of a deleted section, and one that only belongs to this section, give way.
            let owner = self.content.items.find(owner).await?;
            if owner.is_none_or(|owner| owner.draft.content_type != ContentType::Page) {
                return Ok(candidate);
            }
            n += 1;
        }
    }

    /// Returns the parent's id in its canonical form; fails if the section, or a new one, cannot be its child, or if the
    /// caller does not see the parent.
    async fn validate_parent(
        &self,
        caller: &Caller,
        section: Option<Id>,
        parent: &str,
    ) -> Result<String, Error> {
        let parent = parse_parent(parent)?;
        visible_parent(caller, self.content.items.find(parent).await?.as_ref())?;
        let tree = self.content.items.tree().await?;
        tree.check_parent(section, parent).map_err(|error| invalid_parent(describe(error)))?;
        Ok(parent.to_string())
    }

    /// Gives sections new places: all of them, or none if one of them may not be moved there.
    pub async fn reorder(&self, caller: &Caller, places: Vec<SectionPlace>) -> Result<(), Error> {
        self.content.authorize_create(caller)?;
        if self.moves(caller, &places).await?.is_empty() {
            return Ok(());
        }
        let (sections, caller) = (self.clone(), *caller);
        let work = async move {
            loop {
                let moves = sections.moves(&caller, &places).await?;
                // After a concurrent change, try again from the new state.
                if sections.contents.update_sections(&moves, sections.content.clock.now()).await? {
                    return Ok(());
                }
            }
        };
        self.tree_lock.run_exclusive(work).await
    }

    /// Returns the sections with their changes; fails unless the tree has all of them at their new places.
    async fn moves(
        &self,
        caller: &Caller,
        places: &[SectionPlace],
    ) -> Result<Vec<(Versioned<Section>, SectionPatch)>, Error> {
        let mut ids = HashSet::new();
        for place in places {
            if !ids.insert(parse_id::<Section>(&place.id)?) {
                let expected = "must name each section once".into();
                return Err(Error::InvalidField { field: "id", expected });
            }
        }
        for place in places {
            if let Patch::Set(parent) = &place.parent_id {
                ids.extend(Id::parse(parent).ok());
            }
        }
        // One read for the sections and their parents, however many there are.
        let sections = self.content.items.find_all_versioned(ids).await?;
        let mut tree = self.content.items.tree().await?;
        let (mut moves, mut parents) = (Vec::new(), Vec::new());
        for place in places {
            let id = parse_id::<Section>(&place.id)?;
            let stored = editable(caller, sections.get(&id).cloned(), &Precondition::default())?;
            let current = &stored.revised.item.draft.parent_id;
            let parent_id = match &place.parent_id {
                // The section may stay where it is even if its parent was deleted.
                Patch::Set(parent) if current.as_ref() != Some(parent) => {
                    let parent = parse_parent(parent)?;
                    visible_parent(caller, sections.get(&parent).map(|parent| &parent.revised.item))?;
                    tree = tree.with_section(id, Some(parent));
                    parents.push((id, parent));
                    Patch::Set(parent.to_string())
                }
                Patch::Clear => {
                    tree = tree.with_section(id, None);
                    Patch::Clear
                }
                Patch::Set(_) | Patch::Keep => Patch::Keep,
            };
            let sort_order = Some(place.sort_order);
            moves.push((stored, SectionPatch { parent_id, sort_order, ..SectionPatch::default() }));
        }
        for (id, parent) in parents {
            tree.check_parent(Some(id), parent).map_err(|error| invalid_parent(describe(error)))?;
        }
        Ok(moves)
    }

    /// Deletes a section, so that it can be restored. No item stays in a deleted section.
    pub async fn delete(
        &self,
        caller: &Caller,
        id: &str,
        on_delete: &OnDelete,
        precondition: &Precondition,
    ) -> Result<(), Error> {
        let id = parse_id::<Section>(id)?;
        let stored = self.content.find_editable(caller, id, precondition).await?;
        self.destination(caller, &stored.revised.item, on_delete).await?;
        let (sections, caller) = (self.clone(), *caller);
        let (on_delete, precondition) = (on_delete.clone(), precondition.clone());
        let work = async move { sections.delete_unlocked(&caller, id, &on_delete, &precondition).await };
        self.tree_lock.run_exclusive(work).await
    }

    async fn delete_unlocked(
        &self,
        caller: &Caller,
        id: Id,
        on_delete: &OnDelete,
        precondition: &Precondition,
    ) -> Result<(), Error> {
        let mut stored = self.content.find_editable(caller, id, precondition).await?;
        self.move_out(caller, &stored.revised.item, on_delete).await?;
        let rest = async {
            loop {
                let now = self.content.clock.now();
                if self.content.items.delete(&stored, now).await? {
                    // Items that were put into the section since are seen here, or see the deletion themselves.
                    let moved = self.move_out(caller, &stored.revised.item, on_delete).await;
                    if moved.is_err() {
                        self.content.items.restore(id, now).await?;
                    }
                    return moved;
                }
                stored = self.content.find_editable(caller, id, precondition).await?;
                self.move_out(caller, &stored.revised.item, on_delete).await?;
            }
        };
        // The contents may have been moved.
        rest.await.map_err(Error::after_write)
    }

    async fn move_out(&self, caller: &Caller, section: &Section, on_delete: &OnDelete) -> Result<(), Error> {
        match self.destination(caller, section, on_delete).await? {
            Some(Destination { parent, section: target }) => {
                Ok(self.contents.move_out(section.meta.id, parent, target).await?)
            }
            None => Ok(()),
        }
    }

    /// Returns the destination of a section's contents, if they move. Only administrators move items of others.
    async fn destination(
        &self,
        caller: &Caller,
        section: &Section,
        on_delete: &OnDelete,
    ) -> Result<Option<Destination>, Error> {
        let counts = self.contents.count(section.meta.id).await?;
        if *on_delete != OnDelete::Reject
            && caller.role != Role::Admin
            && self.contents.count_of_others(section.meta.id, caller.id).await? > 0
        {
            return Err(Error::ContentOfOthers);
        }
        Ok(match on_delete {
            OnDelete::Reject if counts != ContentCounts::default() => {
                return Err(Error::InUse(describe_counts(&counts)));
            }
            OnDelete::Reject => None,
            OnDelete::Reassign(target) => {
                let target = Some(self.validate_target(caller, section.meta.id, target, &counts).await?);
                Some(Destination { parent: target, section: target })
            }
            OnDelete::Orphan => {
                Some(Destination { parent: self.surviving_parent(section).await?, section: None })
            }
        })
    }

    /// Returns the parent, unless it was deleted or is a descendant of the section, as in rings of old databases.
    async fn surviving_parent(&self, section: &Section) -> Result<Option<Id>, Error> {
        let parent = section.draft.parent_id.as_deref().and_then(|parent| Id::parse(parent).ok());
        let Some(parent) = parent else { return Ok(None) };
        let id = section.meta.id;
        let ring = parent == id || self.content.items.tree().await?.is_descendant(parent, id);
        Ok(if ring { None } else { self.content.items.find(parent).await?.map(|parent| parent.meta.id) })
    }

    /// Returns the id of the section that takes over the contents of another.
    async fn validate_target(
        &self,
        caller: &Caller,
        from: Id,
        target: &str,
        counts: &ContentCounts,
    ) -> Result<Id, Error> {
        let invalid = |expected: String| Error::InvalidParameter { parameter: "reassign_to", expected };
        let target = Id::parse(target).map_err(|_| invalid(EXPECTED_ID.into()))?;
        let section = self.content.items.find(target).await?;
        let Some(section) = section.filter(|section| section.is_visible_to(Some(caller))) else {
            return Err(invalid(describe(PlacementError::ParentNotFound)));
        };
        if target == from {
            return Err(invalid(describe(PlacementError::IntoItself)));
        }
        let tree = self.content.items.tree().await?;
        for child in tree.children(from) {
            tree.check_parent(Some(child), target).map_err(|error| invalid(describe(error)))?;
        }
        let content_type = section.draft.content_type;
        if let Some((other, _)) = counts.content.iter().find(|(held, _)| *held != content_type) {
            return Err(invalid(format!("must be the id of a section with content_type {}", other.as_str())));
        }
        Ok(target)
    }

    /// Restores a deleted section under its parent, or at the root if its parent was deleted or became its descendant.
    pub(super) async fn restore(&self, id: Id) -> Result<Restored, Error> {
        self.find_deleted(id).await?;
        let sections = self.clone();
        self.tree_lock.run_exclusive(async move { sections.restore_unlocked(id).await }).await
    }

    async fn restore_unlocked(&self, id: Id) -> Result<Restored, Error> {
        let (items, now) = (&self.content.items, self.content.clock.now());
        let restored = match self.find_deleted(id).await?.draft.parent_id.map(|parent| Id::parse(&parent)) {
            None => items.restore(id, now).await?,
            Some(Ok(parent))
                if items
                    .tree()
                    .await?
                    .with_section(id, Some(parent))
                    .check_parent(Some(id), parent)
                    .is_ok() =>
            {
                items.restore(id, now).await?
            }
            Some(_) => items.restore_at_root(id, now).await?,
        };
        restored.ok_or(Error::NotInTrash(Section::NAME))
    }

    async fn find_deleted(&self, id: Id) -> Result<Section, Error> {
        self.content.items.find_deleted(id).await?.ok_or(Error::NotInTrash(Section::NAME))
    }
}

/// The destination of a deleted section's contents.
struct Destination {
    /// The new parent of child sections.
    parent: Option<Id>,
    /// The new section of content.
    section: Option<Id>,
}

fn parse_parent(parent: &str) -> Result<Id, Error> {
    Id::parse(parent).map_err(|_| invalid_parent(EXPECTED_ID.into()))
}

/// Fails unless the caller sees the section that is to be a parent.
fn visible_parent(caller: &Caller, parent: Option<&Section>) -> Result<(), Error> {
    match parent {
        Some(section) if section.is_visible_to(Some(caller)) => Ok(()),
        _ => Err(invalid_parent(describe(PlacementError::ParentNotFound))),
    }
}

fn invalid_parent(expected: String) -> Error {
    Error::InvalidField { field: "parent_id", expected }
}

fn parse_parent_filter(text: &str) -> Result<ParentFilter, Error> {
    if text == "null" {
        return Ok(ParentFilter::Root);
    }
    Id::parse(text).map(ParentFilter::In).map_err(|_| Error::InvalidParameter {
        parameter: "parent_id",
        expected: "must be 24 hexadecimal digits, or null for sections at the root".into(),
    })
}

fn parse_nav_visibility(text: &str) -> Result<NavVisibility, Error> {
    text.parse().map_err(|()| Error::InvalidParameter {
        parameter: "nav_visibility",
        expected: format!("must be one of {}", NavVisibility::WORDS.join(", ")),
    })
}

fn describe(error: PlacementError) -> String {
    match error {
        PlacementError::ParentNotFound => "must be the id of an existing section".to_owned(),
        PlacementError::IntoItself => "must not be the section itself".to_owned(),
        PlacementError::IntoDescendant => "must not be a descendant of the section".to_owned(),
        PlacementError::TooDeep => format!("must not nest sections deeper than {MAX_SECTION_DEPTH} levels"),
    }
}

fn describe_counts(counts: &ContentCounts) -> String {
    let plural = |name: &str, count: u64| format!("{count} {name}{}", if count == 1 { "" } else { "s" });
    let sections = (counts.sections > 0).then(|| plural("section", counts.sections));
    // `story` is the only irregular plural.
    let content = counts.content.iter();
    let content = content.map(|(kind, count)| plural(kind.as_str(), *count).replace("storys", "stories"));
    sections.into_iter().chain(content).collect::<Vec<_>>().join(", ")
}
