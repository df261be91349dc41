//! All errors of the API, with their status, text, headers and body.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::media_in_use::MediaInUseDetail;
use super::middleware::{RateLimitStatus, add_vary};
use super::respond::etag;
use super::upload_error::{UploadError, UploadErrorDetail};
use crate::domain::MediaUse;
use crate::identity::TokenError;
use crate::service::StorageError;
use crate::{identity, repository, service};

/// The number of seconds after which a client may retry.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");
/// The maximum number of invalid fields that a response lists.
pub(crate) const MAX_ERRORS: usize = 100;
const BEARER: HeaderValue = HeaderValue::from_static("Bearer");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// One invalid field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The location: `["query", "limit"]`, `["body", "technologies", 2]`.
    pub loc: Vec<LocPart>,
    /// The violated rule, for people. Never contains the value that was sent.
    pub msg: String,
    /// The rule that the field violates.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

impl FieldError {
    /// Returns the error with the path to the value that it is about.
    pub(crate) fn within<const N: usize>(mut self, path: [LocPart; N]) -> Self {
        self.loc.splice(0..0, path);
        self
    }
}

/// One part of the location of an invalid field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = FieldStep)]
pub enum LocPart {
    /// A part of the request, or a field.
    Name(String),
    /// The index of a list element, or of a byte of the body.
    Index(usize),
}

#[cfg(test)]
impl LocPart {
    /// Returns the name, unless the part is an index.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Index(_) => None,
        }
    }
}

impl From<&str> for LocPart {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

/// An error response.
#[derive(Debug)]
pub enum ApiError {
    /// 422: fields are invalid.
    Validation(Vec<FieldError>),
    /// 422: invalid, with one text as in the original.
    Unprocessable(String),
    /// 413, 415 or 422: an upload is refused.
    Upload(UploadError),
    /// 400: well formed, but meaningless.
    BadRequest(String),
    /// 401: missing or invalid credentials.
    Unauthenticated(&'static str),
    /// 403: valid credentials without the necessary role.
    Forbidden(String),
    /// 404: absent, or hidden from the caller.
    NotFound(String),
    /// An error of reactions and comments, whose body has a code.
    Coded(StatusCode, &'static str, String),
    /// 405: the route does not support the method. The router adds `Allow`.
    MethodNotAllowed,
    /// 429: the rate limit is exceeded.
    TooManyRequests(String, RateLimitStatus),
    /// 503: the token cannot be verified, since its issuer does not answer.
    IssuerUnavailable,
    /// 503: the token cannot be verified, since too many others are being verified.
    VerificationBusy,
    /// 406: `Accept-Encoding` excludes every available encoding.
    NotAcceptable,
    /// 409: the request conflicts with another item.
    Conflict(String),
    /// 409: content refers to the file that is to be deleted.
    MediaInUse(MediaUse, String),
    /// 412: the item is not in the state that `If-Match` or `If-None-Match` requires.
    Stale {
        /// Describes the current state.
        detail: String,
        /// The entity tag of the current revision, if the item exists.
        tag: Option<HeaderValue>,
    },
    /// 408: the body arrives too slowly.
    BodyTooSlow,
    /// 413: the body is too large.
    TooLarge,
    /// 414: the URL is too long.
    UrlTooLong,
    /// 415: the body is not JSON.
    UnsupportedMediaType,
    /// 415: the content encoding of the body is not supported.
    UnsupportedEncoding,
    /// 417: the expectation of `Expect` is unknown.
    ExpectationFailed,
    /// 503: the start is not complete, or failed.
    NotServing(String),
    /// 503: the store is unavailable.
    StoreUnavailable(repository::Error),
    /// 416: no byte of the file is in the requested range.
    RangeNotSatisfiable {
        /// The size of the file, in bytes.
        size: u64,
    },
    /// 503: the store is open for reading only.
    ReadOnly(repository::Error),
    /// 503: the storage of pictures and videos failed.
    MediaUnavailable(StorageError),
    /// 507: the disk of the store is full.
    StorageFull(Box<dyn std::error::Error + Send + Sync>),
    /// 503: the request took too long.
    TimedOut {
        /// True if it may have written something.
        writes: bool,
    },
    /// 503: the limit of concurrent requests is reached.
    Overloaded,
    /// 500: a bug or a failure. The text is only logged.
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

/// Describes an error to people: a text, or an object at the routes of uploads, media, reactions and comments.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ErrorDetail)]
enum Detail<'a> {
    /// A text.
    Text(&'a str),
    /// A text with a code for programs.
    Coded {
        /// The code, such as `target_not_found`.
        error: &'static str,
        /// The text.
        message: &'a str,
    },
    /// A refused upload.
    Upload(UploadErrorDetail),
    /// A file to which content refers.
    InUse(MediaInUseDetail),
}

/// The members of an error in the original API, and those of RFC 9457.
#[serde_with::skip_serializing_none]
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorBody<'a> {
    detail: Detail<'a>,
    /// The same as `detail`, only with status 429, where the original API had this member instead.
    #[schema(nullable = false)]
    error: Option<&'a str>,
    /// `unknown` if the request may have been executed, so that a repetition might execute it again; only with status 503.
    #[schema(nullable = false)]
    outcome: Option<&'static str>,
    /// All invalid fields.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false, min_items = 1)]
    errors: &'a [FieldError],
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'a str,
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The path of the request.
    instance: &'a str,
    /// The id of the request, as in the header `x-request-id`.
    request_id: &'a str,
}

/// The error of a response, in its extensions: the access log logs it and writes the body.
#[derive(Debug, Clone)]
pub(crate) struct ErrorExtension(pub(crate) Arc<ApiError>);

/// The status, the text and the headers of an error.
pub(crate) struct ErrorParts<'a> {
    pub(crate) status: StatusCode,
    pub(crate) detail: &'a str,
    pub(crate) errors: &'a [FieldError],
    pub(crate) headers: HeaderMap,
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
    /// Returns the parts of the response.
    pub(crate) fn parts(&self) -> ErrorParts<'_> {
        match self {
            Self::Validation(errors) => {
                let errors = &errors[..errors.len().min(MAX_ERRORS)];
                ErrorParts { errors, ..plain(StatusCode::UNPROCESSABLE_ENTITY, "Validation Error") }
            }
            Self::Unprocessable(detail) => plain(StatusCode::UNPROCESSABLE_ENTITY, detail),
            Self::Upload(error) => plain(error.status(), "The upload was refused"),
            Self::BadRequest(detail) => plain(StatusCode::BAD_REQUEST, detail),
            Self::Unauthenticated(detail) => {
                plain(StatusCode::UNAUTHORIZED, detail).with(header::WWW_AUTHENTICATE, BEARER)
            }
            Self::Forbidden(detail) => plain(StatusCode::FORBIDDEN, detail),
            Self::NotFound(detail) => plain(StatusCode::NOT_FOUND, detail),
            Self::Coded(status, _, message) => plain(*status, message),
            Self::NotAcceptable => plain(
                StatusCode::NOT_ACCEPTABLE,
                "Accept-Encoding excludes every available encoding: br, gzip, zstd and identity",
            ),
            Self::Conflict(detail) | Self::MediaInUse(_, detail) => plain(StatusCode::CONFLICT, detail),
            Self::Stale { detail, tag } => {
                let parts = plain(StatusCode::PRECONDITION_FAILED, detail);
                match tag {
                    Some(tag) => parts.with(header::ETAG, tag.clone()),
                    None => parts,
                }
            }
            Self::TooLarge => {
                plain(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large: the limit is 1 MiB")
            }
            Self::UnsupportedMediaType => plain(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body must be JSON: send Content-Type: application/json",
            ),
            Self::BodyTooSlow => plain(StatusCode::REQUEST_TIMEOUT, "The body arrives too slowly"),
            Self::UrlTooLong => plain(StatusCode::URI_TOO_LONG, "The URL is too long: the limit is 8 KiB"),
            Self::ExpectationFailed => {
                plain(StatusCode::EXPECTATION_FAILED, "Unknown expectation: only 100-continue is supported")
            }
            Self::UnsupportedEncoding => plain(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body must not be encoded: send it without Content-Encoding",
            )
            .with(header::ACCEPT_ENCODING, HeaderValue::from_static("identity")),
            Self::MethodNotAllowed => plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"),
            Self::TooManyRequests(detail, status) => plain(StatusCode::TOO_MANY_REQUESTS, detail)
                .with(header::RETRY_AFTER, HeaderValue::from(status.seconds_left)),
            Self::IssuerUnavailable => unavailable("the token cannot be verified at the moment"),
            Self::VerificationBusy => unavailable("too many tokens are being verified"),
            Self::NotServing(detail) => unavailable(detail),
            Self::StoreUnavailable(_) => unavailable("the store is unavailable at present"),
            Self::RangeNotSatisfiable { size } => {
                let range = HeaderValue::try_from(format!("bytes */{size}")).expect("numbers are ASCII");
                plain(StatusCode::RANGE_NOT_SATISFIABLE, "The range is not in the file")
                    .with(header::CONTENT_RANGE, range)
            }
            Self::ReadOnly(_) => unavailable("the server is read-only at present: nothing was written"),
            Self::StorageFull(_) => {
                plain(StatusCode::INSUFFICIENT_STORAGE, "the disk of the server is full: nothing was written")
            }
            Self::MediaUnavailable(StorageError::Full(_)) => {
                unavailable("the storage of media is full: nothing was written")
            }
            Self::MediaUnavailable(_) => unavailable("the storage of media is unavailable at present"),
            Self::TimedOut { .. } => unavailable("the request took too long"),
            Self::Overloaded => unavailable("too many concurrent requests"),
            Self::Internal(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
        }
    }

    /// Reports whether the request may have been executed although it failed.
    fn is_outcome_unknown(&self) -> bool {
        matches!(
            self,
            Self::TimedOut { writes: true } | Self::StoreUnavailable(repository::Error::Unconfirmed(_))
        )
    }

    /// Returns the body of the response to a request.
    pub(crate) fn body<'a>(&'a self, path: &'a str, request_id: &'a str) -> ErrorBody<'a> {
        let ErrorParts { status, detail, errors, .. } = self.parts();
        ErrorBody {
            detail: match self {
                Self::Coded(_, error, message) => Detail::Coded { error, message },
                Self::Upload(error) => Detail::Upload(error.detail()),
                Self::MediaInUse(used, message) => Detail::InUse(MediaInUseDetail::new(used, message)),
                _ => Detail::Text(detail),
            },
            error: matches!(self, Self::TooManyRequests(..)).then_some(detail),
            outcome: self.is_outcome_unknown().then_some("unknown"),
            errors,
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            instance: path,
            request_id,
        }
    }

    /// Writes the body into the response.
    pub(crate) fn write_body(
        &self,
        response: &mut Response,
        path: &str,
        request_id: &str,
        accepts_problem: bool,
    ) {
        let body = serde_json::to_vec(&self.body(path, request_id));
        let bytes = body.expect("strings and numbers can be written as JSON");
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, if accepts_problem { PROBLEM_JSON } else { JSON });
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        add_vary(headers, &["Authorization", "Accept"]);
        *response.body_mut() = Body::from(bytes);
    }

    /// Returns the chain of causes, which is logged but never sent.
    pub(crate) fn source_text(&self) -> Option<String> {
        let source: &dyn std::error::Error = match self {
            Self::StoreUnavailable(error) | Self::ReadOnly(error) => error,
            Self::MediaUnavailable(error) => error,
            Self::Internal(error) | Self::StorageFull(error) => &**error,
            _ => return None,
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
    /// Sets status and headers. The access log writes the body, since it depends on the request.
    fn into_response(self) -> Response {
        let parts = self.parts();
        let mut response = (parts.status, parts.headers).into_response();
        response.extensions_mut().insert(ErrorExtension(Arc::new(self)));
        response
    }
}

impl From<RateLimitStatus> for ApiError {
    fn from(status: RateLimitStatus) -> Self {
        let detail = format!("Rate limit exceeded: {} per 1 minute", status.limit.per_minute);
        Self::TooManyRequests(detail, status)
    }
}

impl From<service::Error> for ApiError {
    fn from(error: service::Error) -> Self {
        use service::Error;

        let detail = error.to_string();
        match error {
            Error::InvalidId(_) | Error::InvalidParameter { .. } | Error::InvalidReference(_) => {
                Self::BadRequest(detail)
            }
            Error::UnknownTargetType(_) => {
                Self::Coded(StatusCode::UNPROCESSABLE_ENTITY, "invalid_target_type", detail)
            }
            Error::CommentsDisabled(_) => {
                Self::Coded(StatusCode::UNPROCESSABLE_ENTITY, "feature_disabled", detail)
            }
            Error::CommentsClosed => Self::Coded(StatusCode::FORBIDDEN, "comments_closed", detail),
            Error::TargetNotFound(_) => Self::Coded(StatusCode::NOT_FOUND, "target_not_found", detail),
            Error::NotOwnComment { .. } => Self::Coded(StatusCode::FORBIDDEN, "forbidden", detail),
            Error::EditClosed => Self::Coded(StatusCode::FORBIDDEN, "edit_closed", detail),
            Error::InvalidField { field, expected } => Self::Validation(vec![FieldError {
                loc: vec!["body".into(), field.into()],
                msg: expected,
                kind: "value_error",
            }]),
            Error::MayNotCreate | Error::NotAdmin | Error::MayNotChange | Error::ContentOfOthers => {
                Self::Forbidden(detail)
            }
            Error::Stale(current) | Error::Exists(current) => {
                Self::Stale { detail, tag: Some(etag(&current)) }
            }
            Error::Absent(_) => Self::Stale { detail, tag: None },
            Error::Taken { .. }
            | Error::CommentRepeated
            | Error::InUse(_)
            | Error::ContentTypeInUse(_)
            | Error::PageExists(_) => Self::Conflict(detail),
            Error::MediaInUse(used) => Self::MediaInUse(used, detail),
            Error::NotFound(_) | Error::NotInTrash(_) => Self::NotFound(detail),
            Error::Picture(error) => UploadError::from(&error).into(),
            Error::Video(_) => UploadError::Unreadable.into(),
            Error::Storage(error) => Self::MediaUnavailable(error),
            Error::Repository(error) => error.into(),
        }
    }
}

impl From<repository::Error> for ApiError {
    fn from(error: repository::Error) -> Self {
        match error {
            repository::Error::Unavailable(_) | repository::Error::Unconfirmed(_) => Self::StoreUnavailable(error),
            repository::Error::DiskFull(_) => Self::StorageFull(Box::new(error)),
            repository::Error::ReadOnly(_) => Self::ReadOnly(error),
            repository::Error::Duplicate { fields, .. } => {
                Self::Conflict(format!("{} is taken", fields.join(", ")))
            }
            repository::Error::KeyInUse => {
                Self::Conflict("a request with this Idempotency-Key is in progress: try again later".to_owned())
            }
            repository::Error::KeyReused => Self::Validation(vec![FieldError {
                loc: vec!["header".into(), "Idempotency-Key".into()],
                msg: "belongs to another request: send a new key".to_owned(),
                kind: "value_error",
            }]),
            repository::Error::Cursor => Self::BadRequest(
                "Invalid cursor: it belongs to another list, to other parameters or to another version of this program; \
                 start again with an empty one"
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
                "the token does not contain the e-mail address: the scope userinfo.email is missing"
                    .to_owned(),
            ),
            identity::Error::Token(TokenError::Unavailable) => Self::IssuerUnavailable,
            identity::Error::Token(TokenError::Busy) => Self::VerificationBusy,
            identity::Error::Users(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unavailable_store_returns_503_without_its_address() {
        let unavailable = docstore::Error::Unavailable("db.internal:27017: connection refused".to_owned());
        let error = ApiError::from(service::Error::from(repository::Error::from(unavailable)));
        let parts = error.parts();
        assert_eq!(parts.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(parts.headers[header::RETRY_AFTER], "2");
        assert_eq!(parts.detail, "the store is unavailable at present");
        assert!(error.source_text().unwrap().contains("db.internal"));
    }
}
