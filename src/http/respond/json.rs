use std::cell::RefCell;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;

use crate::http::ApiError;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A JSON body. Replaces `axum::Json` for content: lists and items are mostly long strings, which `sonic_rs` escapes several
/// times as fast as `serde_json`, to the same bytes.
pub(crate) struct Json<T>(pub(crate) T);

thread_local! {
    /// The buffer in which bodies grow, so that each body is allocated once, in its final size.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The capacity that the buffer keeps between bodies.
const MAX_IDLE_CAPACITY: usize = 256 * 1024;

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let written = BUFFER.with_borrow_mut(|buffer| {
            let written = sonic_rs::to_writer(&mut *buffer, &self.0).map(|()| Bytes::copy_from_slice(buffer));
            buffer.clear();
            buffer.shrink_to(MAX_IDLE_CAPACITY);
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
        /// `sonic_rs` writes the same bytes as `serde_json`.
        #[test]
        fn strings_are_written_as_by_serde_json(text in "(\\PC|[\\x00-\\x7f]){0,200}") {
            prop_assert_eq!(sonic_rs::to_vec(&text).unwrap(), serde_json::to_vec(&text).unwrap());
        }
    }
}
