use super::Error;
use super::content::{Content, parse_id, unchanged, visible_to};
use crate::domain::{
    Caller, IdempotencyKey, Item as _, Listing, NavLink, NavLinkDraft, NavLinkPatch, PageRequest,
    Precondition, Revised, Role,
};
use crate::repository::{Change, New, Versioned};

/// The use cases of navigation links. Cheap to clone.
pub type NavLinks = Content<NavLink>;

impl NavLinks {
    /// Lists links by `sort_order`, then newest first, including the unpublished ones that a caller may see.
    pub async fn list(
        &self,
        unpublished_for: Option<&Caller>,
        page: PageRequest,
    ) -> Result<Listing<NavLink>, Error> {
        Ok(self.items.list(&visible_to(unpublished_for), page).await?)
    }

    /// Creates a link, unless an earlier request with the same key did.
    pub async fn create(
        &self,
        caller: &Caller,
        draft: NavLinkDraft,
        key: Option<IdempotencyKey>,
    ) -> Result<Revised<NavLink>, Error> {
        let (_create, created) = self.begin_create(caller, key.as_ref()).await?;
        if let Some(created) = created {
            return Ok(created);
        }
        let new = New { draft, user_id: caller.id, section_id: None, key };
        Ok(self.items.insert(&new, self.clock.now()).await?.revised)
    }

    /// Updates a link; for administrators.
    pub async fn update(
        &self,
        caller: &Caller,
        id: &str,
        patch: NavLinkPatch,
        precondition: &Precondition,
    ) -> Result<Revised<NavLink>, Error> {
        let change = Change { patch, section_id: None };
        loop {
            let stored = self.find_as_admin(caller, id, precondition).await?;
            if let Some(updated) = self.items.update(&stored, &change, self.clock.now()).await? {
                return Ok(updated.revised);
            }
        }
    }

    /// Removes a link permanently; for administrators.
    pub async fn delete(&self, caller: &Caller, id: &str, precondition: &Precondition) -> Result<(), Error> {
        loop {
            let stored = self.find_as_admin(caller, id, precondition).await?;
            if self.items.remove(&stored).await? {
                return Ok(());
            }
        }
    }

    /// Checks the role before the id, as the original does.
    async fn find_as_admin(
        &self,
        caller: &Caller,
        id: &str,
        precondition: &Precondition,
    ) -> Result<Versioned<NavLink>, Error> {
        if caller.role != Role::Admin {
            return Err(Error::NotAdmin);
        }
        let id = parse_id::<NavLink>(id)?;
        let stored = self.items.find_versioned(id).await?;
        unchanged(stored.ok_or(Error::NotFound(NavLink::NAME))?, precondition)
    }
}
