//! Sections: reading them, and writing them so that they stay a tree.

/// Deleting a section without leaving behind what lies in it.
mod delete;
/// Taking a section out of the trash.
mod restore;
/// Making and changing sections.
mod write;

use std::sync::Arc;

use super::content::{SlugLookup, by_slug, parse_id, visible};
use super::{Error, ResourceKind};
use crate::clock::Clock;
use crate::domain::{
    Authorship, Caller, Id, Listing, NavVisibility, PageRequest, ParentFilter, Revised, Section,
    SectionFilter, Visibility,
};
use crate::repository::{Repository, SectionContents, TreeLock};

pub use delete::OnDelete;
pub use write::{CreateSection, UpdateSection};

/// What a list of sections is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListSections {
    /// In which section they lie: an id, or `null` for those at the root.
    pub parent_id: Option<String>,
    /// Where they are linked.
    pub nav_visibility: Option<String>,
    /// Who asks for the unpublished ones too.
    pub unpublished_for: Option<Caller>,
    /// Which part.
    pub page_request: PageRequest,
}

/// Sections. Cheap to clone.
#[derive(Clone)]
pub struct Sections {
    items: Repository<Section>,
    contents: SectionContents,
    authorship: Authorship,
    clock: Arc<dyn Clock>,
    tree: TreeLock,
}

impl Sections {
    /// Keeps sections in `sections`; what lies in them is in `contents`. Changes of the tree are made one at a time, by
    /// `tree`.
    pub fn new(
        sections: Repository<Section>,
        contents: SectionContents,
        tree: TreeLock,
        authorship: Authorship,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { items: sections, contents, tree, authorship, clock }
    }

    /// Sections by `sort_order`, the newest first among equals.
    pub async fn list(&self, wanted: ListSections) -> Result<Listing<Section>, Error> {
        let ListSections { parent_id, nav_visibility, unpublished_for, page_request } = wanted;
        let filter = SectionFilter {
            visibility: unpublished_for.as_ref().map_or(Visibility::Published, Visibility::with_unpublished),
            parent: parent_id.as_deref().map(parent).transpose()?,
            nav_visibility: nav_visibility.as_deref().map(nav).transpose()?,
        };
        Ok(self.items.list(&filter, page_request).await?)
    }

    /// The section with this id.
    pub async fn by_id(&self, caller: Option<&Caller>, id: &str) -> Result<Revised<Section>, Error> {
        let id = parse_id(ResourceKind::Section, id)?;
        Ok(visible(ResourceKind::Section, caller, self.items.find_versioned(id).await?)?.revised)
    }

    /// The section with this slug, or the slug of the one that had it before.
    pub async fn by_slug(&self, caller: Option<&Caller>, slug: &str) -> Result<SlugLookup<Section>, Error> {
        by_slug(&self.items, ResourceKind::Section, caller, slug).await
    }
}

fn parent(text: &str) -> Result<ParentFilter, Error> {
    if text == "null" {
        return Ok(ParentFilter::Root);
    }
    Id::parse(text).map(ParentFilter::In).map_err(|_| Error::InvalidParameter {
        parameter: "parent_id",
        expected: "24 hexadecimal digits, or null for sections at the root".into(),
    })
}

fn nav(text: &str) -> Result<NavVisibility, Error> {
    text.parse().map_err(|()| Error::InvalidParameter {
        parameter: "nav_visibility",
        expected: format!("one of {}", NavVisibility::WORDS.join(", ")),
    })
}
