//! Facts about examined files, in the form of the library.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::domain::MediaVariant;
use crate::media::{ExaminedFile, FileContent, image};

/// Returns a stored file as a variant.
pub(super) fn variant(file: &ExaminedFile) -> MediaVariant {
    let (width, height) = file.dimensions();
    MediaVariant {
        variant: file.info.key.variant().to_owned(),
        path: file.info.key.as_str().to_owned(),
        width: width.into(),
        height: height.into(),
        size_bytes: integer(file.info.size),
        sha256: Some(file.sha256.clone()),
    }
}

/// Returns the blurred preview of a picture; `None` if it is too large, or damaged.
pub(super) async fn preview(file: &ExaminedFile) -> Option<String> {
    let FileContent::Picture { format, bytes: Some(bytes), .. } = &file.content else { return None };
    let (format, bytes) = (*format, bytes.clone());
    let decoded = tokio::task::spawn_blocking(move || image::preview(&bytes, format)).await;
    // A decoder that panics has met a broken file.
    decoded.ok()?.ok().map(|preview| STANDARD.encode(preview))
}

/// Returns a number of bytes or milliseconds as it is stored.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
