//! Authentication: from a bearer token to a `Caller`.

/// Caches verified tokens.
mod cache;
/// Development tokens.
mod development;
/// Google access tokens.
mod google;
/// Assigns roles to e-mail addresses.
mod roles;
/// The port for token verification.
mod verifier;

use std::sync::Arc;

pub use development::{AUTHOR_EMAIL, DevelopmentTokens};
pub use google::{Google, GoogleSettings};
pub use roles::Roles;
pub use verifier::{Account, Identity, TokenError, VerifiedToken, Verifier, VerifierChain};

use cache::{TokenCache, TokenOwner};

use crate::clock::Clock;
use crate::domain::Caller;
use crate::repository::{self, NewUser, User, Users};

/// An authentication error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request has no `Authorization` header.
    #[error("missing authorization header")]
    Missing,
    /// The header is not `Bearer <token>`.
    #[error("invalid authorization header: must be a bearer token")]
    Malformed,
    /// The token was rejected, or could not be verified.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The user could not be read or written.
    #[error("failed to read users")]
    Users(#[from] repository::Error),
}

/// The profile of an authenticated user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Id and role.
    pub caller: Caller,
    /// E-mail address.
    pub email: String,
    /// Display name.
    pub name: String,
}

/// Authenticates requests. Cheap to clone.
#[derive(Clone)]
pub struct Authenticator {
    tokens: Arc<TokenCache>,
    users: Users,
    roles: Arc<Roles>,
    clock: Arc<dyn Clock>,
}

impl Authenticator {
    /// Verifies tokens with `verifier` and stores users in `users`.
    pub fn new(verifier: Arc<dyn Verifier>, users: Users, roles: Roles, clock: Arc<dyn Clock>) -> Self {
        let tokens = Arc::new(TokenCache::new(verifier, Arc::clone(&clock)));
        Self { tokens, users, roles: Arc::new(roles), clock }
    }

    /// Authenticates the value of an `Authorization` header.
    pub async fn profile(&self, header: Option<&[u8]>) -> Result<Profile, Error> {
        let token = bearer_token(header)?;
        let owner = self.tokens.verify(token).await?;
        let User { id, name } = owner.user.get_or_try_init(|| self.sign_in(&owner)).await?;
        let email = owner.identity.email.clone();
        let caller = Caller { id: *id, role: self.roles.role_of(&email) };
        Ok(Profile { caller, email, name: name.clone() })
    }

    /// Reports whether the header's token is cached as valid.
    pub fn knows(&self, header: Option<&[u8]>) -> bool {
        bearer_token(header).is_ok_and(|token| self.tokens.is_known(token))
    }

    async fn sign_in(&self, owner: &TokenOwner) -> Result<User, repository::Error> {
        let Identity { email, name, avatar_url, account } = owner.identity.clone();
        let role = self.roles.role_of(&email);
        let account = account.map(|Account { provider, id }| (provider, id));
        self.users.sign_in(NewUser { email, name, avatar_url, role, account }, self.clock.now()).await
    }
}

/// Returns the token of an `Authorization` header: the scheme `Bearer` in any case, white space, one token.
fn bearer_token(header: Option<&[u8]>) -> Result<&str, Error> {
    let text = std::str::from_utf8(header.ok_or(Error::Missing)?).map_err(|_| Error::Malformed)?;
    let mut words = text.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(scheme), Some(token), None) if scheme.eq_ignore_ascii_case("bearer") => Ok(token),
        _ => Err(Error::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_must_be_bearer_with_one_token() {
        for good in ["Bearer abc", "bearer abc", "BEARER   abc", " Bearer\tabc "] {
            assert_eq!(bearer_token(Some(good.as_bytes())).unwrap(), "abc", "{good:?}");
        }
        for bad in ["", "Bearer", "Bearer ", "Basic abc", "abc", "Bearer abc def", "Bearerabc"] {
            assert!(matches!(bearer_token(Some(bad.as_bytes())), Err(Error::Malformed)), "{bad:?}");
        }
        assert!(matches!(bearer_token(Some(b"Bearer \xff")), Err(Error::Malformed)));
        assert!(matches!(bearer_token(None), Err(Error::Missing)));
    }
}
