//! Responses with the bytes of a file: conditions, ranges, headers, and a body that is sent in pieces.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use chrono::{DateTime, NaiveDateTime, SubsecRound as _, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::http::openapi::headers;
use crate::http::openapi::operation::{Input, Operation};
use crate::http::{ApiError, AppState};
use crate::service::{Object, ObjectInfo, StorageError};

/// The unit in which the bytes of bodies are counted.
const UNIT: u64 = 1024;
/// The bytes of one body that are in memory, in units. A piece of a file is not larger.
const WINDOW: u32 = 256;

const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const AN_HOUR: HeaderValue = HeaderValue::from_static("public, max-age=3600");
const BYTES: HeaderValue = HeaderValue::from_static("bytes");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
const ATTACHMENT: HeaderValue = HeaderValue::from_static("attachment");
const CROSS_ORIGIN: HeaderValue = HeaderValue::from_static("cross-origin");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// A browser that opens the file itself shows it in a document of its own, and runs nothing in it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'; \
     base-uri 'none'; sandbox",
);
/// The format of dates in headers.
const DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// Limits the memory of the bodies that clients are receiving: bodies wait while it is used up, and new ones are refused.
pub(crate) struct SendBudget(Arc<Semaphore>);

impl Default for SendBudget {
    /// 64 MiB.
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(64 * 1024)))
    }
}

impl SendBudget {
    /// Returns a body that has at most [`WINDOW`] units in memory, or refuses it with 503. It waits for its pieces to be
    /// dropped, so it must not be collected without copying them.
    fn body(&self, object: Object) -> Result<Body, ApiError> {
        let length = object.range.end - object.range.start;
        // The pieces of long bodies are smaller, so that one is read while others are sent.
        let share = u32::try_from(length.div_ceil(UNIT))
            .map_or(WINDOW / 4, |units| if units > WINDOW { WINDOW / 4 } else { units });
        let first = Arc::clone(&self.0).try_acquire_many_owned(share).map_err(|_| ApiError::Overloaded)?;
        let window = Arc::new(Semaphore::new(WINDOW as usize));
        let state = (object.body, length, Arc::clone(&self.0), window, Some(first));
        let pieces = stream::try_unfold(state, move |(mut pieces, left, budget, window, first)| async move {
            if left == 0 {
                return Ok(None);
            }
            let acquire = |of: &Arc<Semaphore>| Arc::clone(of).acquire_many_owned(share);
            let own = acquire(&window).await.expect("it is never closed");
            let all = match first {
                Some(first) => first,
                None => acquire(&budget).await.expect("it is never closed"),
            };
            let Some(piece) = pieces.try_next().await? else { return Ok(None) };
            let left = left.saturating_sub(piece.len() as u64);
            let counted = Bytes::from_owner(Counted { piece, _permits: (own, all) });
            Ok::<_, StorageError>(Some((counted, (pieces, left, budget, window, None))))
        });
        let logged =
            pieces.inspect_err(|error| tracing::error!(%error, "a file could not be sent completely"));
        Ok(Body::from_stream(logged.boxed()))
    }
}

/// A piece of a body, counted until it is sent.
struct Counted {
    piece: Bytes,
    _permits: (tokio::sync::OwnedSemaphorePermit, tokio::sync::OwnedSemaphorePermit),
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}

/// The headers of a request that select a part of a file, or nothing if the client has it.
pub(crate) struct FileRequest {
    method: Method,
    headers: HeaderMap,
}

impl FromRequestParts<AppState> for FileRequest {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        Ok(Self { method: parts.method.clone(), headers: parts.headers.clone() })
    }
}

impl Input for FileRequest {
    fn describe(operation: &mut Operation) {
        for (name, description) in [
            ("Range", "A range of bytes, such as `bytes=0-499` or `bytes=-500`; several are ignored."),
            ("If-Range", "The `ETag` or the `Last-Modified` of the file that the range is of."),
            ("If-None-Match", "The `ETag` of the file that the client has."),
            ("If-Modified-Since", "The `Last-Modified` of the file that the client has."),
        ] {
            operation.headers.push(headers::request(name, description));
        }
        let own = ["Accept-Ranges", "ETag", "Last-Modified"];
        let content = Some(("*/*", json!({})));
        operation.response(StatusCode::OK, "The file", content.clone(), &own);
        let partial = ["Accept-Ranges", "Content-Range", "ETag", "Last-Modified"];
        operation.response(StatusCode::PARTIAL_CONTENT, "A range of the file", content, &partial);
        operation.response(StatusCode::NOT_MODIFIED, "Not modified", None, &own);
        operation.errors.insert(416);
    }
}

/// The answer to a request for a file.
pub(crate) enum Selection {
    /// The whole file.
    Whole,
    /// A part of it.
    Part(Range<u64>),
    /// Its headers alone, for `HEAD`.
    Headers,
    /// Nothing: the client has the file.
    NotModified,
}

impl FileRequest {
    /// Reports whether the answer depends on what is known of the file, so that these facts are needed first.
    pub(crate) fn is_conditional(&self) -> bool {
        self.method == Method::HEAD
            || [header::RANGE, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE]
                .iter()
                .any(|name| self.headers.contains_key(name))
    }

    /// Returns the answer for a file, as in RFC 9110.
    ///
    /// # Errors
    /// 416 if no byte of the file is in the range.
    pub(crate) fn select(&self, info: &ObjectInfo) -> Result<Selection, ApiError> {
        let is_current = match self.headers.get(header::IF_NONE_MATCH) {
            Some(_) => self.names_tag(&info.tag),
            None => self
                .date(&header::IF_MODIFIED_SINCE)
                .is_some_and(|date| info.modified.trunc_subsecs(0) <= date),
        };
        if is_current {
            return Ok(Selection::NotModified);
        }
        if self.method == Method::HEAD {
            return Ok(Selection::Headers);
        }
        let mut ranges = self.headers.get_all(header::RANGE).iter();
        match (
            ranges.next().map(|value| value.to_str().map(|text| parse_range(text, info.size))),
            ranges.next(),
        ) {
            (Some(Ok(range)), None) if self.is_range_of(info) => match range {
                RequestedRange::Part(range) => Ok(Selection::Part(range)),
                RequestedRange::Unsatisfiable => Err(ApiError::RangeNotSatisfiable { size: info.size }),
                RequestedRange::Ignored => Ok(Selection::Whole),
            },
            _ => Ok(Selection::Whole),
        }
    }

    /// Reports whether `If-None-Match` names the tag, or is `*`.
    fn names_tag(&self, tag: &str) -> bool {
        let values = self.headers.get_all(header::IF_NONE_MATCH).iter();
        let mut names =
            values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',')).map(str::trim);
        names.any(|name| name == "*" || unquoted(name.strip_prefix("W/").unwrap_or(name)) == Some(tag))
    }

    /// Reports whether the range is of this file: `If-Range` is absent, or names it.
    fn is_range_of(&self, info: &ObjectInfo) -> bool {
        let Some(value) = self.headers.get(header::IF_RANGE) else { return true };
        let Ok(text) = value.to_str() else { return false };
        match unquoted(text.trim()) {
            Some(tag) => tag == info.tag,
            None => self.date(&header::IF_RANGE) == Some(info.modified.trunc_subsecs(0)),
        }
    }

    fn date(&self, name: &HeaderName) -> Option<DateTime<Utc>> {
        let text = self.headers.get(name)?.to_str().ok()?;
        Some(NaiveDateTime::parse_from_str(text.trim(), DATE).ok()?.and_utc())
    }
}

fn unquoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

/// The meaning of a `Range` header.
#[derive(Debug, PartialEq)]
enum RequestedRange {
    Part(Range<u64>),
    Unsatisfiable,
    /// Not one valid range of bytes.
    Ignored,
}

fn parse_range(text: &str, size: u64) -> RequestedRange {
    let parsed = text.split_once('=').filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"));
    let Some((first, last)) = parsed.and_then(|(_, range)| range.trim().split_once('-')) else {
        return RequestedRange::Ignored;
    };
    // A number that is too large for us is past the end of every file.
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let range = match (first, number(first), last, number(last)) {
        ("", None, _, Some(length)) => size.saturating_sub(length)..size,
        (_, Some(first), "", None) => first..size,
        (_, Some(first), _, Some(last)) if first <= last => first..size.min(last.saturating_add(1)),
        _ => return RequestedRange::Ignored,
    };
    if range.is_empty() { RequestedRange::Unsatisfiable } else { RequestedRange::Part(range) }
}

/// Returns the response with headers alone.
pub(crate) fn file_headers(info: &ObjectInfo, is_final: bool, selection: &Selection) -> Response {
    let (status, range) = match selection {
        Selection::Whole | Selection::Headers => (StatusCode::OK, 0..info.size),
        Selection::Part(range) => (StatusCode::PARTIAL_CONTENT, range.clone()),
        Selection::NotModified => (StatusCode::NOT_MODIFIED, 0..0),
    };
    let mut response = status.into_response();
    let headers = response.headers_mut();
    let tag = HeaderValue::try_from(format!("\"{}\"", info.tag)).expect("a tag is visible ASCII");
    headers.insert(header::ETAG, tag);
    let modified = info.modified.format(DATE).to_string();
    headers.insert(header::LAST_MODIFIED, HeaderValue::try_from(modified).expect("a date is ASCII"));
    headers.insert(header::ACCEPT_RANGES, BYTES);
    headers.insert(header::CACHE_CONTROL, if is_final { IMMUTABLE } else { AN_HOUR });
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, CROSS_ORIGIN);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    if status == StatusCode::NOT_MODIFIED {
        return response;
    }
    if let Some(media_type) = info.media_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type.name));
    } else {
        headers.insert(header::CONTENT_TYPE, OCTETS);
        headers.insert(header::CONTENT_DISPOSITION, ATTACHMENT);
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{}", range.start, range.end - 1, info.size);
        headers.insert(header::CONTENT_RANGE, HeaderValue::try_from(text).expect("numbers are ASCII"));
    }
    response
}

/// Returns the response with the bytes that were selected.
///
/// # Errors
/// 503 if too many bodies are being sent.
pub(crate) fn file_response(
    budget: &SendBudget,
    object: Object,
    is_final: bool,
    selection: &Selection,
) -> Result<Response, ApiError> {
    let mut response = file_headers(&object.info, is_final, selection);
    *response.body_mut() = budget.body(object)?;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use RequestedRange::{Ignored, Part, Unsatisfiable};

    #[test]
    fn ranges_are_single_and_within_the_file() {
        for (text, expected) in [
            ("bytes=0-", Part(0..10)),
            ("bytes=0-0", Part(0..1)),
            ("Bytes = 2-4", Part(2..5)),
            ("bytes=9-9", Part(9..10)),
            ("bytes=5-100", Part(5..10)),
            ("bytes=-3", Part(7..10)),
            ("bytes=-100", Part(0..10)),
            ("bytes=0-99999999999999999999", Part(0..10)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=10-11", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=99999999999999999999-", Unsatisfiable),
            ("bytes=4-2", Ignored),
            ("bytes=0-1,3-4", Ignored),
            ("bytes=,", Ignored),
            ("bytes=-", Ignored),
            ("bytes=", Ignored),
            ("bytes=a-b", Ignored),
            ("bytes=+1-2", Ignored),
            ("bytes=--1", Ignored),
            ("bytes 0-1", Ignored),
            ("items=0-1", Ignored),
            ("", Ignored),
        ] {
            assert_eq!(parse_range(text, 10), expected, "{text:?}");
        }
        assert_eq!(parse_range("bytes=0-", 0), Unsatisfiable);
        assert_eq!(parse_range("bytes=-1", 0), Unsatisfiable);
    }
}
