use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// Somebody, as the issuer of their token knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The e-mail address.
    pub email: String,
    /// How they are called.
    pub name: String,
    /// Their picture.
    pub avatar_url: Option<String>,
    /// Under which account of which issuer; development tokens have none.
    pub account: Option<Account>,
}

/// An account with an issuer of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The issuer.
    pub provider: &'static str,
    /// How the issuer names the account.
    pub id: String,
}

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// Whose it is.
    pub identity: Identity,
    /// When it ends, if it does.
    pub expires: Option<DateTime<Utc>>,
}

/// Why a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is not, or no longer, good.
    #[error("the token was not accepted")]
    Rejected,
    /// It is good, but does not say whose it is.
    #[error("the token does not give the e-mail address")]
    MissingScope,
    /// Nobody could say: the issuer did not answer.
    #[error("the issuer of the token does not answer")]
    Unavailable,
}

/// Tells who a token belongs to.
#[async_trait]
pub trait Verifier: Send + Sync + 'static {
    /// Whose the token is.
    async fn verify(&self, token: &str) -> Result<VerifiedToken, TokenError>;
}

/// Asks one verifier after the other, until one does not reject the token. None at all rejects every token.
pub struct VerifierChain(pub Vec<Box<dyn Verifier>>);

#[async_trait]
impl Verifier for VerifierChain {
    async fn verify(&self, token: &str) -> Result<VerifiedToken, TokenError> {
        for verifier in &self.0 {
            match verifier.verify(token).await {
                Err(TokenError::Rejected) => {}
                outcome => return outcome,
            }
        }
        Err(TokenError::Rejected)
    }
}
