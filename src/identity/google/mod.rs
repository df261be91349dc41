//! Google access tokens: `tokeninfo` says whether one is good, `userinfo` how its owner is called.

/// The client, with its deadlines.
mod client;
/// What Google answers, and what of it counts.
mod token_info;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::client::{Client, RequestError};
use self::token_info::{TokenInfo, UserInfo};
use super::{Account, Identity, TokenError, VerifiedToken, Verifier};
use crate::clock::Clock;

/// What the verifier has to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoogleSettings {
    /// Where Google's interfaces are, without a slash at the end.
    pub base: String,
    /// The applications whose tokens are accepted.
    pub audiences: Vec<String>,
    /// An answer has so long to be whole.
    pub deadline: Duration,
}

impl GoogleSettings {
    /// How long Google has to answer, if nothing else is said.
    pub const DEADLINE: Duration = Duration::from_secs(5);
}

/// Verifies access tokens by asking Google.
pub struct Google {
    client: Client,
    audiences: Vec<String>,
    clock: Arc<dyn Clock>,
}

impl Google {
    /// A verifier with a pool of connections of its own.
    pub fn new(settings: GoogleSettings, clock: Arc<dyn Clock>) -> Self {
        let GoogleSettings { base, audiences, deadline } = settings;
        Self { client: Client::new(base, deadline), audiences, clock }
    }
}

#[async_trait]
impl Verifier for Google {
    async fn verify(&self, token: &str) -> Result<VerifiedToken, TokenError> {
        let info: TokenInfo = self.client.token_info(token).await.map_err(|failed| match failed {
            RequestError::Refused => TokenError::Rejected,
            RequestError::NoResponse(error) => {
                tracing::warn!(error, "a token cannot be verified: google does not answer");
                TokenError::Unavailable
            }
        })?;
        let good = info.validate(&self.audiences, self.clock.now()).map_err(|reason| {
            tracing::debug!(%reason, "a token is refused");
            reason.refusal()
        })?;
        // The token is good; a name is a nicety.
        let UserInfo { name, picture } = self.client.user_info(token).await.unwrap_or_else(|failed| {
            let error = match failed {
                RequestError::Refused => "refused".to_owned(),
                RequestError::NoResponse(error) => error,
            };
            tracing::warn!(error, "google does not say how a user is called");
            UserInfo::default()
        });
        let local_part = good.email.split('@').next().unwrap_or(&good.email).to_owned();
        let identity = Identity {
            name: name.filter(|name| !name.trim().is_empty()).unwrap_or(local_part),
            email: good.email,
            avatar_url: picture,
            account: good.account.map(|id| Account { provider: "google", id }),
        };
        Ok(VerifiedToken { identity, expires: Some(good.expires) })
    }
}
