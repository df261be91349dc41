use crate::domain::Role;

/// Who has which role. It is asked at each request, so that a change of configuration takes effect at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    admin: String,
    authors: Vec<String>,
}

impl Roles {
    /// One administrator and any number of authors, by e-mail address.
    pub fn new(admin: String, authors: Vec<String>) -> Self {
        Self { admin, authors }
    }

    /// The role of an e-mail address.
    pub fn role_of(&self, email: &str) -> Role {
        if email == self.admin {
            Role::Admin
        } else if self.authors.iter().any(|author| author == email) {
            Role::Author
        } else {
            Role::Commenter
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_who_is_not_named_is_a_commenter() {
        let roles = Roles::new("a@example.com".into(), vec!["b@example.com".into(), "a@example.com".into()]);
        assert_eq!(roles.role_of("a@example.com"), Role::Admin);
        assert_eq!(roles.role_of("b@example.com"), Role::Author);
        assert_eq!(roles.role_of("c@example.com"), Role::Commenter);
        assert_eq!(roles.role_of(""), Role::Commenter);
    }
}
