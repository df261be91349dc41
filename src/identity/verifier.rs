use std::net::IpAddr;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// A user as the issuer of their token knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// E-mail address.
    pub email: String,
    /// Display name.
    pub name: String,
    /// URL of a picture.
    pub avatar_url: Option<String>,
    /// The account with the issuer; development tokens have none.
    pub account: Option<Account>,
}

/// An account with an issuer of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The issuer.
    pub provider: &'static str,
    /// The issuer's id of the account.
    pub id: String,
}

/// A valid token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// Its owner.
    pub identity: Identity,
    /// Time of expiry, if it expires.
    pub expires: Option<DateTime<Utc>>,
}

/// The reason that a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The token is invalid or expired.
    #[error("the token was rejected")]
    Rejected,
    /// The token does not grant access to the e-mail address.
    #[error("the token does not grant access to the e-mail address")]
    MissingScope,
    /// The issuer did not answer.
    #[error("the issuer of the token does not answer")]
    Unavailable,
    /// Too many other tokens are being verified.
    #[error("too many tokens are being verified")]
    Busy,
}

/// A token to verify, and what is known of it.
#[derive(Clone, Copy)]
pub struct Lookup<'a> {
    /// The token.
    pub token: &'a str,
    /// The address of the client that sent it.
    pub client: IpAddr,
    /// True if it was valid when it was last verified.
    pub was_valid: bool,
}

/// Verifies tokens.
#[async_trait]
pub trait Verifier: Send + Sync + 'static {
    /// Returns the owner of a token.
    async fn verify(&self, lookup: Lookup<'_>) -> Result<VerifiedToken, TokenError>;
}

/// Asks verifiers in turn until one does not reject the token. An empty chain rejects every token.
pub struct VerifierChain(pub Vec<Box<dyn Verifier>>);

#[async_trait]
impl Verifier for VerifierChain {
    async fn verify(&self, lookup: Lookup<'_>) -> Result<VerifiedToken, TokenError> {
        for verifier in &self.0 {
            match verifier.verify(lookup).await {
                Err(TokenError::Rejected) => {}
                outcome => return outcome,
            }
        }
        Err(TokenError::Rejected)
    }
}
