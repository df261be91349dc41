//! Checks of request heads before routing.

use axum::extract::Request;
use axum::http::{self, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::http::ApiError;

/// The maximum length of a URL, in bytes.
const MAX_URL: usize = 8 * 1024;

/// A request head that no handler should see. [`reject_malformed`] answers it, so that the response has the headers and
/// the body of every other error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadError {
    /// HTTP/1.1 without `Host`, or with more than one.
    Host,
    /// More than one `Authorization`: proxies and servers may disagree on which one counts.
    Authorization,
    /// An `Expect` other than `100-continue`.
    Expectation,
    /// The URL is longer than [`MAX_URL`].
    UrlTooLong,
}

impl From<HeadError> for ApiError {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Host => Self::BadRequest("Invalid Host header: exactly one is required".to_owned()),
            HeadError::Authorization => {
                Self::BadRequest("Invalid Authorization header: at most one is allowed".to_owned())
            }
            HeadError::Expectation => Self::ExpectationFailed,
            HeadError::UrlTooLong => Self::UrlTooLong,
        }
    }
}

/// Checks the head of a request.
pub(super) fn check<B>(request: &http::Request<B>) -> Result<(), HeadError> {
    let headers = request.headers();
    let count = |name| headers.get_all(name).iter().take(2).count();
    if request.version() == Version::HTTP_11 && count(header::HOST) != 1 {
        return Err(HeadError::Host);
    }
    if request.uri().path_and_query().is_some_and(|url| url.as_str().len() > MAX_URL) {
        return Err(HeadError::UrlTooLong);
    }
    if count(header::AUTHORIZATION) > 1 {
        return Err(HeadError::Authorization);
    }
    let is_known = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if !headers.get_all(header::EXPECT).iter().all(is_known) {
        return Err(HeadError::Expectation);
    }
    Ok(())
}

/// Answers requests whose head is malformed.
pub(crate) async fn reject_malformed(request: Request, next: Next) -> Response {
    match request.extensions().get::<HeadError>() {
        Some(error) => ApiError::from(*error).into_response(),
        None => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(version: Version, url: &str, headers: &[(&str, &str)]) -> Result<(), HeadError> {
        let mut request = http::Request::builder().version(version).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap())
    }

    #[test]
    fn http_1_1_requires_one_host() {
        assert_eq!(head(Version::HTTP_11, "/", &[]), Err(HeadError::Host));
        assert_eq!(head(Version::HTTP_11, "/", &[("host", "a"), ("host", "a")]), Err(HeadError::Host));
        assert_eq!(head(Version::HTTP_11, "/", &[("host", "a")]), Ok(()));
        assert_eq!(head(Version::HTTP_10, "/", &[]), Ok(()));
        assert_eq!(head(Version::HTTP_2, "/", &[]), Ok(()));
    }

    #[test]
    fn ambiguous_and_unknown_headers_are_refused() {
        let with = |headers: &[(&str, &str)]| head(Version::HTTP_2, "/", headers);
        let token = ("authorization", "Bearer a");
        assert_eq!(with(&[token]), Ok(()));
        assert_eq!(with(&[token, token]), Err(HeadError::Authorization));
        assert_eq!(with(&[("expect", "100-Continue")]), Ok(()));
        for other in ["nonsense", "", "100-continue, nonsense"] {
            assert_eq!(with(&[("expect", other)]), Err(HeadError::Expectation), "{other:?}");
        }
    }

    #[test]
    fn long_urls_are_refused() {
        let url = |length| format!("/{}", "a".repeat(length - 1));
        assert_eq!(head(Version::HTTP_2, &url(MAX_URL), &[]), Ok(()));
        assert_eq!(head(Version::HTTP_2, &url(MAX_URL + 1), &[]), Err(HeadError::UrlTooLong));
    }
}
