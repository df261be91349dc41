use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect;
use serde::de::DeserializeOwned;

use super::token_info::{TokenInfo, UserInfo};

/// The timeout for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The maximum length of a response, in bytes.
const MAX_RESPONSE: usize = 64 * 1024;

/// A failed request to Google.
pub(super) enum RequestError {
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
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    pub(super) fn new(base: String, deadline: Duration) -> Self {
        let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect::<rustls::RootCertStore>();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider supports its default protocol versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(deadline)
            .redirect(redirect::Policy::none())
            .build()
            .expect("a client with a TLS configuration loads nothing else");
        Self { http, base }
    }

    pub(super) async fn token_info(&self, token: &str) -> Result<TokenInfo, RequestError> {
        let address = format!("{}/oauth2/v3/tokeninfo", self.base);
        read(self.http.get(address).query(&[("access_token", token)])).await
    }

    pub(super) async fn user_info(&self, token: &str) -> Result<UserInfo, RequestError> {
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
