use std::sync::Arc;

use super::content::{by_id, parse_id};
use super::{Error, ResourceKind};
use crate::clock::Clock;
use crate::domain::{
    Authorship, Caller, Listing, NavLink, NavLinkChange, NewNavLink, PageRequest, Precondition, Revised,
    Role, Visibility,
};
use crate::repository::{Repository, Versioned};

/// What a new link is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateNavLink {
    /// What it says.
    pub label: String,
    /// Where it leads.
    pub url: String,
    /// Its place, lowest first.
    pub sort_order: i64,
    /// Whether everybody may see it.
    pub is_published: bool,
}

/// Links of the navigation. Cheap to clone.
#[derive(Clone)]
pub struct NavLinks {
    links: Repository<NavLink>,
    authorship: Authorship,
    clock: Arc<dyn Clock>,
}

impl NavLinks {
    /// Keeps links in `links`.
    pub fn new(links: Repository<NavLink>, authorship: Authorship, clock: Arc<dyn Clock>) -> Self {
        Self { links, authorship, clock }
    }

    /// Links by `sort_order`, the newest first among equals. Who asks for the unpublished too gets those that they
    /// may see.
    pub async fn list(
        &self,
        unpublished_for: Option<&Caller>,
        page_request: PageRequest,
    ) -> Result<Listing<NavLink>, Error> {
        let visibility = unpublished_for.map_or(Visibility::Published, Visibility::with_unpublished);
        Ok(self.links.list(&visibility, page_request).await?)
    }

    /// The link with this id.
    pub async fn by_id(&self, caller: Option<&Caller>, id: &str) -> Result<Revised<NavLink>, Error> {
        by_id(&self.links, ResourceKind::NavLink, caller, id).await
    }

    /// Makes a link.
    pub async fn create(&self, caller: &Caller, link: CreateNavLink) -> Result<Revised<NavLink>, Error> {
        if !caller.may_create(self.authorship) {
            return Err(Error::MayNotCreate);
        }
        let CreateNavLink { label, url, sort_order, is_published } = link;
        let new = NewNavLink { label, url, sort_order, is_published, user_id: caller.id };
        Ok(self.links.insert(&new, self.clock.now()).await?.revised)
    }

    /// Changes a link, which is for administrators.
    pub async fn update(
        &self,
        caller: &Caller,
        id: &str,
        change: &NavLinkChange,
        condition: &Precondition,
    ) -> Result<Revised<NavLink>, Error> {
        loop {
            let stored = self.administered(caller, id, condition).await?;
            if let Some(changed) = self.links.change(&stored, change, self.clock.now()).await? {
                return Ok(changed.revised);
            }
        }
    }

    /// Removes a link for good, which is for administrators.
    pub async fn delete(&self, caller: &Caller, id: &str, condition: &Precondition) -> Result<(), Error> {
        loop {
            let stored = self.administered(caller, id, condition).await?;
            if self.links.remove(&stored).await? {
                return Ok(());
            }
        }
    }

    /// Who may not change links is told so before anything is said of the id, as in the original.
    async fn administered(
        &self,
        caller: &Caller,
        id: &str,
        condition: &Precondition,
    ) -> Result<Versioned<NavLink>, Error> {
        if caller.role != Role::Admin {
            return Err(Error::NotAdmin);
        }
        let id = parse_id(ResourceKind::NavLink, id)?;
        let stored = self.links.find_versioned(id).await?.ok_or(Error::NotFound(ResourceKind::NavLink))?;
        if !condition.holds(&stored.revised.revision) {
            return Err(Error::Stale(stored.revised.revision));
        }
        Ok(stored)
    }
}
