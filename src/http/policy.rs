use super::ApiError;
use crate::domain::Role;

/// The callers that a route admits. Every route has a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Everyone. The response may depend on the caller.
    Everyone,
    /// Authenticated callers.
    SignedIn,
    /// Administrators and authors; every authenticated caller if authorship is open, which the service decides.
    Authors,
    /// Administrators and the owner of the item, which the service decides.
    Owner,
    /// Administrators.
    Admins,
}

impl Policy {
    /// Rejects roles that are never admitted.
    pub(super) fn check_role(self, role: Role) -> Result<(), ApiError> {
        match self {
            Self::Admins if role != Role::Admin => {
                Err(ApiError::Forbidden("this is for administrators only"))
            }
            Self::Everyone | Self::SignedIn | Self::Authors | Self::Owner | Self::Admins => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_admin_policy_depends_on_the_role_alone() {
        for role in [Role::Admin, Role::Author, Role::Commenter] {
            assert_eq!(Policy::Admins.check_role(role).is_ok(), role == Role::Admin);
            for policy in [Policy::Everyone, Policy::SignedIn, Policy::Authors, Policy::Owner] {
                assert!(policy.check_role(role).is_ok());
            }
        }
    }
}
