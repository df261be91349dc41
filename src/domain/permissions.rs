use super::Id;
use super::resource::string_enum;

string_enum! {
    /// The role of a user.
    Role {
        /// May do everything.
        Admin = "admin",
        /// May create content and change their own.
        Author = "author",
        /// May comment and react.
        Commenter = "commenter",
    }
}

/// Selects who may create content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Authorship {
    /// Administrators and authors.
    #[default]
    Restricted,
    /// Every authenticated user.
    Open,
}

/// An authenticated user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The id of the user document.
    pub id: Id,
    /// The role.
    pub role: Role,
}

impl Caller {
    /// Reports whether the caller may create content.
    pub fn may_create(&self, authorship: Authorship) -> bool {
        match self.role {
            Role::Admin | Role::Author => true,
            Role::Commenter => authorship == Authorship::Open,
        }
    }

    /// Reports whether the caller may change an item, and see it while it is unpublished: its owner and
    /// administrators may. An item without an owner is for administrators alone.
    pub fn may_edit(&self, owner: Option<&str>) -> bool {
        self.role == Role::Admin || owner.is_some_and(|owner| owner == self.id.to_string())
    }
}

/// Selects the items that a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Published items.
    Published,
    /// Published items and those of this user.
    PublishedOrOwned(Id),
    /// Every item that is not deleted.
    All,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpublished_items_are_visible_to_owner_and_admins() {
        let id = Id::parse("65a0b1c2d3e4f50617283940").unwrap();
        let owner = Caller { id, role: Role::Commenter };
        let admin = Caller { id: Id::parse("65a0b1c2d3e4f50617283941").unwrap(), role: Role::Admin };
        let author = Caller { id: admin.id, role: Role::Author };
        let owned_by = Some("65a0b1c2d3e4f50617283940");
        assert!(owner.may_edit(owned_by));
        assert!(!owner.may_edit(None));
        assert!(admin.may_edit(owned_by) && admin.may_edit(None));
        assert!(!author.may_edit(owned_by));
    }

    #[test]
    fn authors_may_create_and_owners_may_edit() {
        let id = Id::parse("65a0b1c2d3e4f50617283940").unwrap();
        let caller = |role| Caller { id, role };
        let may_create = |authorship| {
            [Role::Admin, Role::Author, Role::Commenter].map(|role| caller(role).may_create(authorship))
        };
        assert_eq!(may_create(Authorship::Restricted), [true, true, false]);
        assert_eq!(may_create(Authorship::Open), [true, true, true]);
        let own = id.to_string();
        assert!(caller(Role::Commenter).may_edit(Some(&own)));
        assert!(!caller(Role::Author).may_edit(None) && !caller(Role::Author).may_edit(Some("x")));
        assert!(caller(Role::Admin).may_edit(None));
    }
}
