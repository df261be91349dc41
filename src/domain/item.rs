use super::{Caller, Id, Role};

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
    Named,
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
    fn authors_create_and_owners_change() {
        let id = Id::parse("65a0b1c2d3e4f50617283940").unwrap();
        let caller = |role| Caller { id, role };
        let may_create = |authorship| {
            [Role::Admin, Role::Author, Role::Commenter].map(|role| caller(role).may_create(authorship))
        };
        assert_eq!(may_create(Authorship::Named), [true, true, false]);
        assert_eq!(may_create(Authorship::Open), [true, true, true]);
        let own = id.to_string();
        assert!(caller(Role::Commenter).may_change(Some(&own)));
        assert!(!caller(Role::Author).may_change(None) && !caller(Role::Author).may_change(Some("x")));
        assert!(caller(Role::Admin).may_change(None));
    }
}
