use std::cell::RefCell;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;

use crate::http::ApiError;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A body of JSON. As `axum::Json`, for content: lists and items are mostly long texts, and `sonic_rs` escapes those
/// several times as fast as `serde_json`, to the same bytes.
pub(crate) struct Json<T>(pub(crate) T);

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        /// Readers get what `serde_json` would have written, down to the byte.
        #[test]
        fn texts_are_written_as_serde_json_writes_them(text in "(\\PC|[\\x00-\\x7f]){0,200}") {
            prop_assert_eq!(sonic_rs::to_vec(&text).unwrap(), serde_json::to_vec(&text).unwrap());
        }
    }
}
