//! Authentication: from a bearer token to a `Caller`.

/// Caches verified tokens.
mod cache;
/// Development tokens.
mod development;
/// Google access tokens.
mod google;
/// Bounds the look-ups of tokens at their issuer.
mod lookups;
/// Assigns roles to e-mail addresses.
mod roles;
/// The port for token verification.
mod verifier;
/// The token of a program that works on videos.
mod worker;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use development::{AUTHOR_EMAIL, DevelopmentTokens};
pub use google::GoogleSettings;
pub use roles::Roles;
pub use verifier::{Account, Identity, Lookup, TokenError, VerifiedToken, Verifier, VerifierChain};
pub use worker::WorkerToken;

use cache::{TokenCache, TokenOwner};

use crate::clock::Clock;
use crate::domain::{Caller, Role};
use crate::repository::{self, NewUser, User, Users};

/// The time that a read waits until a new user is stored.
const SIGN_IN: Duration = Duration::from_millis(250);

/// Creates a verifier that asks Google, with bounded look-ups.
pub fn google(settings: GoogleSettings, clock: &Arc<dyn Clock>) -> Box<dyn Verifier> {
    let google = google::Google::new(settings, Arc::clone(clock));
    Box::new(lookups::BoundedVerifier::new(google, Arc::clone(clock)))
}

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
    /// Picture.
    pub avatar_url: Option<String>,
}

/// A caller whose token was verified.
pub struct VerifiedCaller(Arc<TokenOwner>);

/// Authenticates requests. Cheap to clone.
#[derive(Clone)]
pub struct Authenticator {
    tokens: Arc<TokenCache>,
    users: Users,
    roles: Arc<Roles>,
    clock: Arc<dyn Clock>,
    video_worker: Option<WorkerToken>,
}

impl Authenticator {
    /// Verifies tokens with `verifier` and stores users in `users`.
    pub fn new(verifier: Arc<dyn Verifier>, users: Users, roles: Roles, clock: Arc<dyn Clock>) -> Self {
        let tokens = Arc::new(TokenCache::new(verifier, Arc::clone(&clock)));
        Self { tokens, users, roles: Arc::new(roles), clock, video_worker: None }
    }

    /// Accepts this token of a program that works on videos.
    #[must_use]
    pub fn with_video_worker(self, video_worker: Option<WorkerToken>) -> Self {
        Self { video_worker, ..self }
    }

    /// Reports whether an `Authorization` header has the token of the program that works on videos.
    pub fn is_video_worker(&self, header: Option<&[u8]>) -> bool {
        let token = bearer_token(header).ok();
        token.is_some_and(|token| self.video_worker.as_ref().is_some_and(|worker| worker.is(token)))
    }

    /// Returns what is known of an `Authorization` header without asking the issuer of its token.
    pub fn recall(&self, header: Option<&[u8]>) -> Option<Result<VerifiedCaller, Error>> {
        match bearer_token(header) {
            Ok(token) => Some(self.tokens.recall(token)?.map(VerifiedCaller).map_err(Error::Token)),
            Err(error) => Some(Err(error)),
        }
    }

    /// Verifies the token of an `Authorization` header that `client` sent.
    pub async fn verify(&self, header: Option<&[u8]>, client: IpAddr) -> Result<VerifiedCaller, Error> {
        let token = bearer_token(header)?;
        Ok(VerifiedCaller(self.tokens.verify(token, client).await?))
    }

    /// Returns the profile of a caller, who is stored as a user at the first request.
    pub async fn profile(&self, caller: &VerifiedCaller) -> Result<Profile, Error> {
        let VerifiedCaller(owner) = caller;
        let user = owner.user.get_or_try_init(|| self.sign_in(owner)).await?;
        Ok(self.profile_of(owner, user))
    }

    /// Returns a caller who reads something. A new user is stored as by [`Authenticator::profile`], but a read does not wait
    /// for a store that is busy or full: then the caller has an id of this request alone, and therefore no content.
    pub async fn reader(&self, caller: &VerifiedCaller) -> Result<Caller, Error> {
        let VerifiedCaller(owner) = caller;
        if self.is_stored(owner).await? {
            return Ok(self.profile(caller).await?.caller);
        }
        match tokio::time::timeout(SIGN_IN, self.profile(caller)).await {
            Ok(Ok(profile)) => Ok(profile.caller),
            outcome => {
                if let Ok(Err(error)) = outcome {
                    tracing::warn!(%error, "a new user is not stored");
                }
                Ok(Caller { id: Users::unused_id(), role: self.roles.role_of(&owner.identity.email) })
            }
        }
    }

    /// Returns a caller, unless they are new and therefore have no content: then they see what everyone sees, and nothing
    /// is written to show it.
    pub async fn stored_caller(&self, caller: &VerifiedCaller) -> Result<Option<Caller>, Error> {
        let VerifiedCaller(owner) = caller;
        // An administrator sees the content of others.
        if self.roles.role_of(&owner.identity.email) == Role::Admin {
            return self.reader(caller).await.map(Some);
        }
        if !self.is_stored(owner).await? {
            return Ok(None);
        }
        Ok(Some(self.profile(caller).await?.caller))
    }

    async fn is_stored(&self, owner: &TokenOwner) -> Result<bool, repository::Error> {
        Ok(owner.user.initialized() || self.users.find(&new_user(owner, &self.roles)).await?.is_some())
    }

    fn profile_of(&self, owner: &TokenOwner, user: &User) -> Profile {
        let email = owner.identity.email.clone();
        let caller = Caller { id: user.id, role: self.roles.role_of(&email) };
        Profile { caller, email, name: user.name.clone(), avatar_url: user.avatar_url.clone() }
    }

    async fn sign_in(&self, owner: &TokenOwner) -> Result<User, repository::Error> {
        self.users.sign_in(new_user(owner, &self.roles), self.clock.now()).await
    }
}

fn new_user(owner: &TokenOwner, roles: &Roles) -> NewUser {
    let Identity { email, name, avatar_url, account } = owner.identity.clone();
    let role = roles.role_of(&email);
    let account = account.map(|Account { provider, id }| (provider, id));
    NewUser { email, name, avatar_url, role, account }
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
