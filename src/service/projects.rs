use super::Error;
use super::content::{Articles, Placement};
use crate::domain::{Caller, Listing, PageRequest, Project, ProjectFilter, Visibility};

/// A request for a list of projects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListProjects {
    /// Only projects of this section.
    pub section_id: Option<String>,
    /// Only featured projects.
    pub featured_only: bool,
    /// Includes the unpublished projects that this caller may see.
    pub unpublished_for: Option<Caller>,
    /// The page.
    pub page_request: PageRequest,
}

/// The use cases of projects. Cheap to clone.
pub type Projects = Articles<Project>;

impl Projects {
    /// Lists projects by `sort_order`, then newest first.
    pub async fn list(&self, request: ListProjects) -> Result<Listing<Project>, Error> {
        let ListProjects { section_id, featured_only, unpublished_for, page_request } = request;
        let filter = ProjectFilter {
            visibility: Visibility::including_unpublished_of(unpublished_for.as_ref()),
            featured_only,
            section: Placement::filter(section_id.as_deref())?,
        };
        self.content.list(&filter, page_request).await
    }
}
