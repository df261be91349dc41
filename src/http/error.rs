//! Every error that goes over the wire, and how it looks there.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::middleware::RateLimitStatus;
use super::respond::etag;
use crate::identity::TokenError;
use crate::{identity, repository, service};

/// Seconds after which a client may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");
const BEARER: HeaderValue = HeaderValue::from_static("Bearer");

/// One wrong field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where: `["query", "limit"]`, `["body", "technologies", 2]`.
    pub loc: Vec<LocPart>,
    /// What it has to be. Never holds the value that was sent.
    pub msg: String,
    /// Which rule was broken.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

impl FieldError {
    /// Returns the error with the path to the value that it is about.
    pub(super) fn within<const N: usize>(mut self, path: [LocPart; N]) -> Self {
        self.loc.splice(0..0, path);
        self
    }
}

/// A step on the way to a wrong field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = FieldStep)]
pub enum LocPart {
    /// Into a part of the request, or into a field.
    Name(String),
    /// To an element of a list, or to a byte of a text.
    At(usize),
}

#[cfg(test)]
impl LocPart {
    /// The name, if it is one.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::At(_) => None,
        }
    }
}

impl From<&str> for LocPart {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

/// What a request can be answered with instead of what it asked for.
#[derive(Debug)]
pub enum ApiError {
    /// 422: fields are wrong.
    Validation(Vec<FieldError>),
    /// 400: well formed, and yet it means nothing.
    BadRequest(String),
    /// 401: nobody is signed in, or not well enough.
    Unauthenticated(&'static str),
    /// 403: signed in, and not allowed.
    Forbidden(&'static str),
    /// 404: there is none, or none that the caller may see.
    NotFound(String),
    /// 405: the route has no such method. `Allow` is added by the router.
    MethodNotAllowed,
    /// 429: asked too often.
    TooManyRequests(String, RateLimitStatus),
    /// 503: nobody can say at present who asks.
    IssuerUnavailable,
    /// 406: in none of the codings that the client takes.
    NotAcceptable,
    /// 409: it would clash with something else.
    Conflict(String),
    /// 412: the item is in another state than the request is made for.
    Stale {
        /// Says which state it is in.
        detail: String,
        /// The same as an entity tag.
        tag: HeaderValue,
    },
    /// 413: the body is too large.
    TooLarge(&'static str),
    /// 415: the body is of a type that is not read here.
    UnsupportedMediaType(&'static str),
    /// 503: the start-up is not over, or failed.
    NotServing(String),
    /// 503: the store does not answer.
    StoreUnavailable(repository::Error),
    /// 503: the request took too long.
    TimedOut,
    /// 503: too much is under way already.
    Overloaded,
    /// 500: our fault. Its text is for the log.
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

/// The error of a response, for the layer that logs it and writes the body.
#[derive(Debug, Clone)]
pub(super) struct ErrorExtension(pub(super) Arc<ApiError>);

/// How an error looks on the wire.
pub(super) struct ErrorParts<'a> {
    pub(super) status: StatusCode,
    pub(super) detail: &'a str,
    pub(super) errors: &'a [FieldError],
    pub(super) headers: HeaderMap,
}

fn plain(status: StatusCode, detail: &str) -> ErrorParts<'_> {
    ErrorParts { status, detail, errors: &[], headers: HeaderMap::new() }
}

fn unavailable(detail: &str) -> ErrorParts<'_> {
    plain(StatusCode::SERVICE_UNAVAILABLE, detail).with(header::RETRY_AFTER, RETRY_AFTER)
}

impl ErrorParts<'_> {
    fn with(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

impl ApiError {
    /// The table of error shapes.
    pub(super) fn shape(&self) -> ErrorParts<'_> {
        match self {
            Self::Validation(errors) => {
                ErrorParts { errors, ..plain(StatusCode::UNPROCESSABLE_ENTITY, "Validation Error") }
            }
            Self::BadRequest(detail) => plain(StatusCode::BAD_REQUEST, detail),
            Self::Unauthenticated(detail) => {
                plain(StatusCode::UNAUTHORIZED, detail).with(header::WWW_AUTHENTICATE, BEARER)
            }
            Self::Forbidden(detail) => plain(StatusCode::FORBIDDEN, detail),
            Self::NotFound(detail) => plain(StatusCode::NOT_FOUND, detail),
            Self::NotAcceptable => plain(
                StatusCode::NOT_ACCEPTABLE,
                "Accept-Encoding refuses every coding: br, gzip, zstd and identity can be had",
            ),
            Self::Conflict(detail) => plain(StatusCode::CONFLICT, detail),
            Self::Stale { detail, tag } => {
                plain(StatusCode::PRECONDITION_FAILED, detail).with(header::ETAG, tag.clone())
            }
            Self::TooLarge(detail) => plain(StatusCode::PAYLOAD_TOO_LARGE, detail),
            Self::UnsupportedMediaType(detail) => plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail),
            Self::MethodNotAllowed => plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"),
            Self::TooManyRequests(detail, standing) => plain(StatusCode::TOO_MANY_REQUESTS, detail)
                .with(header::RETRY_AFTER, HeaderValue::from(standing.seconds_left)),
            Self::IssuerUnavailable => unavailable("the token cannot be verified at present"),
            Self::NotServing(detail) => unavailable(detail),
            Self::StoreUnavailable(_) => unavailable("the store is unavailable at present"),
            Self::TimedOut => unavailable("the request took too long"),
            Self::Overloaded => unavailable("too many requests are under way"),
            Self::Internal(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
        }
    }

    /// What the log says of it, beyond what the client is told.
    pub(super) fn source_text(&self) -> Option<String> {
        let source: &dyn std::error::Error = match self {
            Self::StoreUnavailable(error) => error,
            Self::Internal(error) => &**error,
            Self::Validation(_)
            | Self::BadRequest(_)
            | Self::Unauthenticated(_)
            | Self::Forbidden(_)
            | Self::NotFound(_)
            | Self::Conflict(_)
            | Self::Stale { .. }
            | Self::TooLarge(_)
            | Self::UnsupportedMediaType(_)
            | Self::MethodNotAllowed
            | Self::TooManyRequests(..)
            | Self::IssuerUnavailable
            | Self::NotServing(_)
            | Self::NotAcceptable
            | Self::Overloaded
            | Self::TimedOut => return None,
        };
        let mut text = source.to_string();
        let mut next = source.source();
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        Some(text)
    }
}

impl IntoResponse for ApiError {
    /// Status and headers; the body is written where the request is known, in `observe`.
    fn into_response(self) -> Response {
        let shape = self.shape();
        let mut response = (shape.status, shape.headers).into_response();
        response.extensions_mut().insert(ErrorExtension(Arc::new(self)));
        response
    }
}

impl From<RateLimitStatus> for ApiError {
    fn from(standing: RateLimitStatus) -> Self {
        let detail = format!("Rate limit exceeded: {} per 1 minute", standing.limit.per_minute);
        Self::TooManyRequests(detail, standing)
    }
}

impl From<service::Error> for ApiError {
    fn from(error: service::Error) -> Self {
        match error {
            service::Error::InvalidId(kind) => Self::BadRequest(format!(
                "Invalid {} id: 24 hexadecimal digits are expected",
                kind.to_lowercase()
            )),
            service::Error::InvalidParameter { parameter, expected } => {
                Self::BadRequest(format!("Invalid {parameter}: {expected}"))
            }
            service::Error::InvalidField { field, expected } => Self::Validation(vec![FieldError {
                loc: vec!["body".into(), field.into()],
                msg: expected,
                kind: "value_error",
            }]),
            service::Error::MayNotCreate => {
                Self::Forbidden("Creating content is for authors and administrators")
            }
            service::Error::NotAdmin => Self::Forbidden("Only administrators may do this"),
            service::Error::MayNotChange => {
                Self::Forbidden("Only its owner and administrators may change this item")
            }
            service::Error::Stale(current) => Self::Stale {
                detail: format!("The item has changed: its current version is \"{current}\""),
                tag: etag(&current),
            },
            service::Error::Taken { field } => Self::Conflict(format!("{field} is taken")),
            service::Error::InUse(held) => Self::Conflict(format!(
                "The section holds {held}: move that with reassign_to=<section id>, or delete with force=true"
            )),
            service::Error::NotInTrash(kind) => Self::NotFound(format!("{kind} not found in the trash")),
            service::Error::PageExists(page_type) => Self::Conflict(format!(
                "There is a page \"{page_type}\" already: delete that one before this one is restored"
            )),
            service::Error::NotFound(kind) => Self::NotFound(format!("{kind} not found")),
            service::Error::Repository(error) => error.into(),
        }
    }
}

impl From<repository::Error> for ApiError {
    fn from(error: repository::Error) -> Self {
        match error {
            repository::Error::Unavailable(_) => Self::StoreUnavailable(error),
            repository::Error::Duplicate { fields, .. } => {
                Self::Conflict(format!("{} is taken", fields.join(", ")))
            }
            repository::Error::Cursor => Self::BadRequest(
                "The cursor is none of this list with these parameters, or of another version of this program; \
                 begin anew with an empty one"
                    .to_owned(),
            ),
            repository::Error::Corrupt { .. } | repository::Error::Store(_) => {
                Self::Internal(Box::new(error))
            }
        }
    }
}

impl From<identity::Error> for ApiError {
    fn from(error: identity::Error) -> Self {
        match error {
            identity::Error::Missing => Self::Unauthenticated("Missing authorization header"),
            identity::Error::Malformed => {
                Self::Unauthenticated("Invalid authorization header: a bearer token is expected")
            }
            identity::Error::Token(TokenError::Rejected) => Self::Unauthenticated("Invalid or expired token"),
            identity::Error::Token(TokenError::MissingScope) => Self::Forbidden(
                "the token does not give the e-mail address: the scope userinfo.email is missing",
            ),
            identity::Error::Token(TokenError::Unavailable) => Self::IssuerUnavailable,
            identity::Error::Users(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_away_is_503_without_its_address() {
        let away = docstore::Error::Unavailable("db.internal:27017: connection refused".to_owned());
        let error = ApiError::from(service::Error::from(repository::Error::from(away)));
        let shape = error.shape();
        assert_eq!(shape.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(shape.headers[header::RETRY_AFTER], "2");
        assert_eq!(shape.detail, "the store is unavailable at present");
        assert!(error.source_text().unwrap().contains("db.internal"));
    }
}
