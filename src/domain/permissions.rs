use super::Id;

/// What somebody who signed in may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything.
    Admin,
    /// Create content, and change their own.
    Author,
    /// Comment and react.
    Commenter,
}

impl Role {
    /// As stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Author => "author",
            Self::Commenter => "commenter",
        }
    }
}

/// Somebody who signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The id of their user document.
    pub id: Id,
    /// What they may do.
    pub role: Role,
}

impl Caller {
    /// Whether an item that is not published may be shown to them: to its owner and to administrators.
    pub fn may_see_unpublished(&self, owner: Option<&str>) -> bool {
        self.role == Role::Admin || owner.is_some_and(|owner| owner == self.id.to_string())
    }
}

/// Which items a list may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// What is published.
    Published,
    /// What is published, and all that this user owns.
    PublishedOrOwned(Id),
    /// Everything that is not deleted.
    All,
}

impl Visibility {
    /// What a caller sees who asks for the unpublished too.
    pub fn with_unpublished(caller: &Caller) -> Self {
        match caller.role {
            Role::Admin => Self::All,
            Role::Author | Role::Commenter => Self::PublishedOrOwned(caller.id),
        }
    }
}

/// What everything has that people write and publish.
pub trait Item {
    /// Its id.
    fn id(&self) -> Id;

    /// The id of the user who made it, if it has an owner.
    fn owner(&self) -> Option<&str>;

    /// Whether everybody may see it.
    fn is_published(&self) -> bool;

    /// Whether this caller may see it.
    fn is_visible_to(&self, caller: Option<&Caller>) -> bool {
        self.is_published() || caller.is_some_and(|caller| caller.may_see_unpublished(self.owner()))
    }
}

/// Who may create content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Authorship {
    /// Administrators and authors.
    #[default]
    Restricted,
    /// Whoever is signed in.
    Open,
}

impl Caller {
    /// Whether they may create content.
    pub fn may_create(&self, authorship: Authorship) -> bool {
        match self.role {
            Role::Admin | Role::Author => true,
            Role::Commenter => authorship == Authorship::Open,
        }
    }

    /// Whether they may change or delete what belongs to this owner; what has none is for administrators.
    pub fn may_change(&self, owner: Option<&str>) -> bool {
        self.role == Role::Admin || owner.is_some_and(|owner| owner == self.id.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpublished_items_are_for_their_owner_and_for_administrators() {
        let id = Id::parse("65a0b1c2d3e4f50617283940").unwrap();
        let owner = Caller { id, role: Role::Commenter };
        let admin = Caller { id: Id::parse("65a0b1c2d3e4f50617283941").unwrap(), role: Role::Admin };
        let author = Caller { id: admin.id, role: Role::Author };
        let owned_by = Some("65a0b1c2d3e4f50617283940");
        assert!(owner.may_see_unpublished(owned_by));
        assert!(!owner.may_see_unpublished(None));
        assert!(admin.may_see_unpublished(owned_by) && admin.may_see_unpublished(None));
        assert!(!author.may_see_unpublished(owned_by));
        assert_eq!(Visibility::with_unpublished(&admin), Visibility::All);
        assert_eq!(Visibility::with_unpublished(&owner), Visibility::PublishedOrOwned(id));
    }

    #[test]
    fn authors_create_and_owners_change() {
        let id = Id::parse("65a0b1c2d3e4f50617283940").unwrap();
        let caller = |role| Caller { id, role };
        let may_create = |authorship| {
            [Role::Admin, Role::Author, Role::Commenter].map(|role| caller(role).may_create(authorship))
        };
        assert_eq!(may_create(Authorship::Restricted), [true, true, false]);
        assert_eq!(may_create(Authorship::Open), [true, true, true]);
        let own = id.to_string();
        assert!(caller(Role::Commenter).may_change(Some(&own)));
        assert!(!caller(Role::Author).may_change(None) && !caller(Role::Author).may_change(Some("x")));
        assert!(caller(Role::Admin).may_change(None));
    }
}
