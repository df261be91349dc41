//! Google access tokens: `tokeninfo` verifies a token, `userinfo` has its owner's name.

/// Validates the responses of Google.
mod token_info;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::redirect;
use serde::de::DeserializeOwned;

use self::token_info::{TokenInfo, UserInfo};
use super::{Account, Identity, Lookup, TokenError, VerifiedToken, Verifier};
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
pub(super) struct Google {
    client: Client,
    audiences: Vec<String>,
    clock: Arc<dyn Clock>,
}

impl Google {
    /// Creates a verifier with its own connection pool.
    pub(super) fn new(settings: GoogleSettings, clock: Arc<dyn Clock>) -> Self {
        let GoogleSettings { base, audiences, deadline } = settings;
        Self { client: Client::new(base, deadline), audiences, clock }
    }
}

#[async_trait]
impl Verifier for Google {
    async fn verify(&self, Lookup { token, .. }: Lookup<'_>) -> Result<VerifiedToken, TokenError> {
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

/// The timeout for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The maximum length of a response, in bytes.
const MAX_RESPONSE: usize = 64 * 1024;

/// A failed request to Google.
enum RequestError {
    /// Google rejected the token.
    Refused,
    /// Google did not answer, or its response cannot be read; the text is for the log.
    NoResponse(String),
}

impl From<reqwest::Error> for RequestError {
    fn from(error: reqwest::Error) -> Self {
        // The URL contains the token.
        let error = error.without_url();
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Self::NoResponse(format!("{error}{cause}"))
    }
}

/// A client of Google's OAuth endpoints, with a connection pool.
struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    fn new(base: String, deadline: Duration) -> Self {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(crate::tls::client_config())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(deadline)
            .redirect(redirect::Policy::none())
            .build()
            .expect("a client with a TLS configuration loads nothing else");
        Self { http, base }
    }

    async fn token_info(&self, token: &str) -> Result<TokenInfo, RequestError> {
        let address = format!("{}/oauth2/v3/tokeninfo", self.base);
        read(self.http.get(address).query(&[("access_token", token)])).await
    }

    async fn user_info(&self, token: &str) -> Result<UserInfo, RequestError> {
        let address = format!("{}/oauth2/v2/userinfo", self.base);
        read(self.http.get(address).bearer_auth(token)).await
    }
}

async fn read<T: DeserializeOwned>(request: reqwest::RequestBuilder) -> Result<T, RequestError> {
    let mut response = request.send().await?;
    let status = response.status();
    // 429 says nothing about the token.
    if status.is_client_error() && status.as_u16() != 429 {
        return Err(RequestError::Refused);
    }
    if status.as_u16() != 200 {
        return Err(RequestError::NoResponse(format!("status {status}")));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_RESPONSE {
            return Err(RequestError::NoResponse("the response is too long".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    // Neither the response nor an error that may quote it may be logged.
    serde_json::from_slice(&body)
        .map_err(|_| RequestError::NoResponse("the response cannot be read".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn error_for_the_log_contains_no_token() {
        // The listener is dropped at once, so nothing listens on its port.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = Client::new(format!("http://{address}"), Duration::from_secs(5));
        let Err(RequestError::NoResponse(text)) = client.token_info("hunter2").await else {
            panic!("expected no response")
        };
        assert!(!text.is_empty() && !text.contains("hunter2") && !text.contains("access_token"), "{text}");
    }
}
