//! From a bearer token to a `Caller`.

/// What is known of tokens.
mod cache;
/// Tokens for development.
mod development;
/// Tokens of Google.
mod google;
/// Reading the header.
mod header;
/// Who has which role.
mod roles;
/// What verifying a token means.
mod verifier;

use std::sync::Arc;

pub use development::{AUTHOR_EMAIL, DevelopmentTokens};
pub use google::{Google, GoogleSettings};
pub use roles::Roles;
pub use verifier::{Account, Identity, TokenError, VerifiedToken, Verifier, VerifierChain};

use cache::{Known, TokenCache};

use crate::clock::Clock;
use crate::domain::Caller;
use crate::repository::{self, NewUser, User, Users};

/// Why there is no caller.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request says nothing of who asks.
    #[error("no authorization header")]
    Missing,
    /// The header is not `Bearer <token>`.
    #[error("the authorization header is not a bearer token")]
    Malformed,
    /// The token is not good, or nobody could say.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Users could not be read.
    #[error("users cannot be read")]
    Users(#[from] repository::Error),
}

/// Who somebody is, as they are told themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Their id and role.
    pub caller: Caller,
    /// Their e-mail address.
    pub email: String,
    /// How they are called.
    pub name: String,
}

/// Finds the caller of a request. Cheap to clone.
#[derive(Clone)]
pub struct Authenticator {
    tokens: Arc<TokenCache>,
    users: Users,
    roles: Arc<Roles>,
    clock: Arc<dyn Clock>,
}

impl Authenticator {
    /// Verifies by `verifier`, keeps users in `users`.
    pub fn new(verifier: Arc<dyn Verifier>, users: Users, roles: Roles, clock: Arc<dyn Clock>) -> Self {
        let tokens = Arc::new(TokenCache::new(verifier, Arc::clone(&clock)));
        Self { tokens, users, roles: Arc::new(roles), clock }
    }

    /// The caller that an `Authorization` header names.
    pub async fn resolve(&self, header: Option<&[u8]>) -> Result<Caller, Error> {
        Ok(self.profile(header).await?.caller)
    }

    /// As [`Authenticator::resolve`], with what is known of them.
    pub async fn profile(&self, header: Option<&[u8]>) -> Result<Profile, Error> {
        let token = header::bearer_token(header)?;
        let known = self.tokens.verify(token).await?;
        let User { id, name } = known.user.get_or_try_init(|| self.sign_in(&known)).await?;
        let email = known.identity.email.clone();
        let caller = Caller { id: *id, role: self.roles.role_of(&email) };
        Ok(Profile { caller, email, name: name.clone() })
    }

    /// Whether the header's token is known to be good, without asking anybody.
    pub fn knows(&self, header: Option<&[u8]>) -> bool {
        header::bearer_token(header).is_ok_and(|token| self.tokens.knows(token))
    }

    async fn sign_in(&self, known: &Known) -> Result<User, repository::Error> {
        let Identity { email, name, avatar_url, account } = known.identity.clone();
        let role = self.roles.role_of(&email);
        let account = account.map(|Account { provider, id }| (provider, id));
        self.users.sign_in(NewUser { email, name, avatar_url, role, account }, self.clock.now()).await
    }
}
