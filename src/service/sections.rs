use super::{Error, Kind};
use crate::domain::{
    Caller, Id, Listing, NavVisibility, ParentFilter, Section, SectionFilter, Visibility, Window,
};
use crate::repository::Repository;

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
    pub window: Window,
}

/// Sections, read side. Cheap to clone.
#[derive(Clone)]
pub struct Sections {
    sections: Repository<Section>,
}

impl Sections {
    /// Reads from this repository.
    pub fn new(sections: Repository<Section>) -> Self {
        Self { sections }
    }

    /// Sections by `sort_order`, the newest first among equals.
    pub async fn list(&self, wanted: ListSections) -> Result<Listing<Section>, Error> {
        let ListSections { parent_id, nav_visibility, unpublished_for, window } = wanted;
        let filter = SectionFilter {
            visibility: unpublished_for.as_ref().map_or(Visibility::Published, Visibility::with_unpublished),
            parent: parent_id.as_deref().map(parent).transpose()?,
            nav_visibility: nav_visibility.as_deref().map(nav).transpose()?,
        };
        Ok(self.sections.list(&filter, window).await?)
    }

    /// The section with this id.
    pub async fn by_id(&self, caller: Option<&Caller>, id: &str) -> Result<Section, Error> {
        let id = Id::parse(id).map_err(|_| Error::InvalidId(Kind::Section))?;
        shown(caller, self.sections.find(id).await?)
    }

    /// The section with this slug.
    pub async fn by_slug(&self, caller: Option<&Caller>, slug: &str) -> Result<Section, Error> {
        shown(caller, self.sections.find_by_slug(slug).await?)
    }
}

/// To those who may not see it, a section that is not published is not there.
fn shown(caller: Option<&Caller>, section: Option<Section>) -> Result<Section, Error> {
    section
        .filter(|section| {
            section.is_published
                || caller.is_some_and(|caller| caller.may_see_unpublished(section.user_id.as_deref()))
        })
        .ok_or(Error::NotFound(Kind::Section))
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
