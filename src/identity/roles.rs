use crate::domain::Role;

/// Assigns roles to e-mail addresses. Roles are looked up per request, so that a configuration change takes effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    admin: String,
    authors: Vec<String>,
}

impl Roles {
    /// Assigns one administrator and any number of authors, by e-mail address.
    pub fn new(admin: String, authors: Vec<String>) -> Self {
        Self { admin, authors }
    }

    /// Returns the role of an e-mail address.
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
    fn unlisted_addresses_are_commenters() {
        let roles = Roles::new("a@example.com".into(), vec!["b@example.com".into(), "a@example.com".into()]);
        assert_eq!(roles.role_of("a@example.com"), Role::Admin);
        assert_eq!(roles.role_of("b@example.com"), Role::Author);
        assert_eq!(roles.role_of("c@example.com"), Role::Commenter);
        assert_eq!(roles.role_of(""), Role::Commenter);
    }
}
