use std::cell::RefCell;

use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, NaiveDateTime, SecondsFormat, Timelike, Utc};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use utoipa::openapi::{Object, ObjectBuilder, Type};

use super::{ApiError, link};
use crate::domain::Listing;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A list on the wire.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = List)]
pub(super) struct Envelope<T> {
    pub(super) items: Vec<T>,
    /// How many there are, beyond this window.
    pub(super) total: u64,
    pub(super) limit: u64,
    pub(super) offset: u64,
}

impl<T> Envelope<T> {
    /// Puts each item into its wire form.
    pub(super) fn of<D>(listing: Listing<D>, body: impl FnMut(D) -> T) -> Self {
        let Listing { items, total, window, walk: _ } = listing;
        let items = items.into_iter().map(body).collect();
        Self { items, total, limit: window.limit, offset: window.offset }
    }
}

/// A body of JSON. As `axum::Json`, for content: lists and items are mostly long texts, and `sonic_rs` escapes those
/// several times as fast as `serde_json`, to the same bytes.
pub(super) struct Json<T>(pub(super) T);

thread_local! {
    /// Where bodies grow, so that each is allocated once, as large as it turned out.
    static DRAFT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What is left of a larger draft is given back.
const DRAFT_KEPT: usize = 256 * 1024;

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let written = DRAFT.with_borrow_mut(|draft| {
            let written = sonic_rs::to_writer(&mut *draft, &self.0).map(|()| Bytes::copy_from_slice(draft));
            draft.clear();
            draft.shrink_to(DRAFT_KEPT);
            written
        });
        match written {
            Ok(body) => ([(header::CONTENT_TYPE, JSON)], body).into_response(),
            Err(error) => ApiError::Internal(Box::new(error)).into_response(),
        }
    }
}

/// The answer to a request for a list, with links to the windows around this one.
pub(super) fn listed<D, T: Serialize>(uri: &Uri, listing: Listing<D>, body: impl FnMut(D) -> T) -> Response {
    let links = link::header(uri, listing.window, listing.total, listing.walk.as_ref());
    (links, Json(Envelope::of(listing, body))).into_response()
}

/// An instant on the wire: UTC with `Z`, the fraction left out if it is zero, else of six digits.
pub(super) fn instant(instant: DateTime<Utc>) -> String {
    let format = if instant.nanosecond() == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
    instant.to_rfc3339_opts(format, true)
}

/// As [`instant`], for serde.
pub(super) fn serialize_instant<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&instant(*at))
}

/// As [`instant`], for serde, where there may be none.
#[expect(clippy::ref_option, reason = "serde hands a reference to the field")]
pub(super) fn serialize_instant_or_null<S: Serializer>(
    at: &Option<DateTime<Utc>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    at.map(instant).serialize(serializer)
}

/// The schema of a text that is one of a few words.
pub(super) fn words(words: &[&str]) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied())).build()
}

/// The answer to a deletion: empty, and called JSON all the same.
pub(super) fn deleted() -> Response {
    (StatusCode::NO_CONTENT, [(header::CONTENT_TYPE, JSON)]).into_response()
}

/// An instant as the health routes have it: UTC that does not say so.
pub(super) fn naive(at: DateTime<Utc>) -> String {
    let naive: NaiveDateTime = at.naive_utc();
    naive
        .format(if naive.nanosecond() == 0 { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S%.6f" })
        .to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Readers get what `serde_json` would have written, down to the byte.
        #[test]
        fn texts_are_written_as_serde_json_writes_them(text in "(\\PC|[\\x00-\\x7f]){0,200}") {
            prop_assert_eq!(sonic_rs::to_vec(&text).unwrap(), serde_json::to_vec(&text).unwrap());
        }
    }

    #[test]
    fn fractions_have_six_digits_or_none() {
        let at = |ms| DateTime::from_timestamp_millis(ms).unwrap();
        assert_eq!(instant(at(1_767_323_045_000)), "2026-01-02T03:04:05Z");
        assert_eq!(instant(at(1_767_323_045_123)), "2026-01-02T03:04:05.123000Z");
        assert_eq!(naive(at(1_767_323_045_000)), "2026-01-02T03:04:05");
        assert_eq!(naive(at(1_767_323_045_120)), "2026-01-02T03:04:05.120000");
    }
}
