use super::ApiError;
use crate::domain::Role;

/// Who may call a route. Each row of the table of routes has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Everybody. What they see may depend on who they are.
    Everyone,
    /// Whoever is signed in.
    SignedIn,
    /// Administrators and authors; whoever is signed in, if authorship is open. The service knows, and decides.
    Authors,
    /// The owner of the item, and administrators. The service knows the item, and decides.
    Owner,
    /// Administrators.
    Admins,
}

impl Policy {
    /// Judges what the role alone decides.
    pub(super) fn judge(self, role: Role) -> Result<(), ApiError> {
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
    fn only_what_the_role_decides_is_judged_here() {
        for role in [Role::Admin, Role::Author, Role::Commenter] {
            assert_eq!(Policy::Admins.judge(role).is_ok(), role == Role::Admin);
            for policy in [Policy::Everyone, Policy::SignedIn, Policy::Authors, Policy::Owner] {
                assert!(policy.judge(role).is_ok());
            }
        }
    }
}
