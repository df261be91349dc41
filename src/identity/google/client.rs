use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect;
use serde::de::DeserializeOwned;

use super::token_info::{TokenInfo, UserInfo};

/// A connection has so long to be made.
const CONNECT: Duration = Duration::from_secs(2);
/// No answer is longer, in bytes.
const MOST: usize = 64 * 1024;

/// Why there is no answer to use.
pub(super) enum RequestError {
    /// Google says no.
    Refused,
    /// Google says nothing, or nothing that can be understood; the text is for the log.
    NoResponse(String),
}

impl From<reqwest::Error> for RequestError {
    fn from(error: reqwest::Error) -> Self {
        // The address holds the token.
        let error = error.without_url();
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Self::NoResponse(format!("{error}{cause}"))
    }
}

/// Asks Google, over connections that are kept.
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
            .expect("the provider has the protocol versions that it was compiled with")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(CONNECT)
            .timeout(deadline)
            .redirect(redirect::Policy::none())
            .build()
            .expect("with TLS ready there is nothing left to load");
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
    // Being asked too often is not the token's fault.
    if status.is_client_error() && status.as_u16() != 429 {
        return Err(RequestError::Refused);
    }
    if status.as_u16() != 200 {
        return Err(RequestError::NoResponse(format!("status {status}")));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MOST {
            return Err(RequestError::NoResponse("the answer is too long".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    // Neither the answer nor an error that may quote it belongs into the log.
    serde_json::from_slice(&body)
        .map_err(|_| RequestError::NoResponse("the answer cannot be read".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_log_is_told_holds_no_token() {
        // A port that nobody listens on: the listener is gone at once.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = Client::new(format!("http://{address}"), Duration::from_secs(5));
        let Err(RequestError::NoResponse(text)) = client.token_info("hunter2").await else {
            panic!("nobody can answer")
        };
        assert!(!text.is_empty() && !text.contains("hunter2") && !text.contains("access_token"), "{text}");
    }
}
