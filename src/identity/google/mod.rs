//! Google access tokens: `tokeninfo` verifies a token, `userinfo` has its owner's name.

/// The HTTP client.
mod client;
/// Validates the responses of Google.
mod token_info;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::client::{Client, RequestError};
use self::token_info::{TokenInfo, UserInfo};
use super::{Account, Identity, TokenError, VerifiedToken, Verifier};
use crate::clock::Clock;

/// The settings of the verifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoogleSettings {
    /// The base URL of Google's endpoints, without a trailing slash.
    pub base: String,
    /// The client ids of the applications whose tokens are accepted.
    pub audiences: Vec<String>,
    /// The timeout for a whole response.
    pub deadline: Duration,
}

impl GoogleSettings {
    /// The default timeout.
    pub const DEADLINE: Duration = Duration::from_secs(5);
}

/// Verifies access tokens by asking Google.
pub struct Google {
    client: Client,
    audiences: Vec<String>,
    clock: Arc<dyn Clock>,
}

impl Google {
    /// Creates a verifier with its own connection pool.
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
                tracing::warn!(error, "failed to verify a token: google does not answer");
                TokenError::Unavailable
            }
        })?;
        let good = info.validate(&self.audiences, self.clock.now()).map_err(|reason| {
            tracing::debug!(%reason, "rejected a token");
            reason.token_error()
        })?;
        // The token is valid, so a missing name is not an error.
        let UserInfo { name, picture } = self.client.user_info(token).await.unwrap_or_else(|failed| {
            let error = match failed {
                RequestError::Refused => "refused".to_owned(),
                RequestError::NoResponse(error) => error,
            };
            tracing::warn!(error, "failed to get a user's name from google");
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
