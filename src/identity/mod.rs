//! From a bearer token to a `Caller`.

/// Tokens for development.
mod development;
/// Reading the header.
mod header;
/// Who has which role.
mod roles;

use std::sync::Arc;

use async_trait::async_trait;

pub use development::{AUTHOR_EMAIL, DevelopmentTokens};
pub use roles::Roles;

use crate::clock::Clock;
use crate::domain::Caller;
use crate::repository::{self, NewUser, Users};

/// Why there is no caller.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request says nothing of who asks.
    #[error("no authorization header")]
    Missing,
    /// The header is not `Bearer <token>`.
    #[error("the authorization header is not a bearer token")]
    Malformed,
    /// The token is not, or no longer, good.
    #[error("the token was not accepted")]
    Rejected,
    /// Users could not be read.
    #[error("users cannot be read")]
    Users(#[from] repository::Error),
}

/// Somebody, as the issuer of their token knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The e-mail address.
    pub email: String,
    /// How they are called.
    pub name: String,
    /// Their picture.
    pub avatar_url: Option<String>,
}

/// Tells who a token belongs to.
#[async_trait]
pub trait Verifier: Send + Sync + 'static {
    /// # Errors
    /// [`Error::Rejected`] for a token that is not good.
    async fn verify(&self, token: &str) -> Result<Identity, Error>;
}

/// Accepts no token at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTokens;

#[async_trait]
impl Verifier for NoTokens {
    async fn verify(&self, _token: &str) -> Result<Identity, Error> {
        Err(Error::Rejected)
    }
}

/// Finds the caller of a request. Cheap to clone.
#[derive(Clone)]
pub struct Callers {
    verifier: Arc<dyn Verifier>,
    users: Users,
    roles: Arc<Roles>,
    clock: Arc<dyn Clock>,
}

impl Callers {
    /// Verifies by `verifier`, keeps users in `users`.
    pub fn new(verifier: Arc<dyn Verifier>, users: Users, roles: Roles, clock: Arc<dyn Clock>) -> Self {
        Self { verifier, users, roles: Arc::new(roles), clock }
    }

    /// The caller that an `Authorization` header names.
    pub async fn resolve(&self, header: Option<&[u8]>) -> Result<Caller, Error> {
        let token = header::bearer_token(header)?;
        let Identity { email, name, avatar_url } = self.verifier.verify(token).await?;
        let role = self.roles.of(&email);
        let id = self.users.ensure(NewUser { email, name, avatar_url, role }, self.clock.now()).await?;
        Ok(Caller { id, role })
    }
}
