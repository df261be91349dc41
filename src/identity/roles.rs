use crate::domain::Role;

/// Assigns roles to e-mail addresses, which are compared without regard to case. Roles are looked up per request, so that a configuration change takes effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    admin: String,
    authors: Vec<String>,
}

impl Roles {
    /// Assigns one administrator and any number of authors, by e-mail address.
    pub fn new(admin: &str, authors: &[String]) -> Self {
        Self {
            admin: admin.to_lowercase(),
            authors: authors.iter().map(|author| author.to_lowercase()).collect(),
        }
    }

    /// Returns the role of an e-mail address.
    pub fn role_of(&self, email: &str) -> Role {
        let email = email.to_lowercase();
        if email == self.admin {
            Role::Admin
        } else if self.authors.contains(&email) {
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
        let roles = Roles::new("a@example.com", &["b@example.com".into(), "a@example.com".into()]);
        assert_eq!(roles.role_of("a@example.com"), Role::Admin);
        assert_eq!(roles.role_of("b@example.com"), Role::Author);
        assert_eq!(roles.role_of("c@example.com"), Role::Commenter);
        assert_eq!(roles.role_of(""), Role::Commenter);
    }

    #[test]
    fn addresses_are_compared_without_regard_to_case() {
        let roles = Roles::new("Boss@Example.com", &["Jo@EXAMPLE.com".into()]);
        assert_eq!(roles.role_of("boss@example.com"), Role::Admin);
        assert_eq!(roles.role_of("BOSS@example.COM"), Role::Admin);
        assert_eq!(roles.role_of("jo@example.com"), Role::Author);
    }
}
