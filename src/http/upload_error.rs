//! Refusals of uploads, in the form that the original's frontend reads.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiError;
use crate::service::{ImageError, ReceiveError};

/// The formats that uploads may have, as the frontend shows them.
const ALLOWED_FORMATS: [&str; 8] = ["JPEG", "PNG", "GIF", "WebP", "MP4", "WebM", "MOV", "AVI"];

/// A refusal of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadError {
    /// 413: a file is larger than the limit of its kind.
    FileTooLarge {
        /// True if it is a video.
        is_video: bool,
        /// The limit in bytes.
        limit: u64,
    },
    /// 413: all parts together are too large.
    BodyTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// 415: the format of a file is not supported.
    UnsupportedFormat,
    /// 422: a file is empty or damaged.
    Unreadable,
    /// 422: a picture has too many pixels or frames.
    TooManyPixels,
}

/// The `detail` of a refused upload, as in the original.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UploadErrorDetail)]
pub(crate) struct UploadErrorDetail {
    /// `UPLOAD_FILE_TOO_LARGE`, `UPLOAD_INVALID_FORMAT` or `UPLOAD_PROCESSING_FAILED`.
    #[schema(pattern = "^UPLOAD_")]
    error_code: &'static str,
    /// A text for the author.
    user_message: String,
    /// More about it.
    details: Option<UploadErrorFacts>,
    /// Always null: the id of the request is a member of the error.
    request_id: Option<String>,
}

/// Facts that help the author of a refused upload.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = UploadErrorFacts)]
pub(crate) struct UploadErrorFacts {
    /// The limit, such as `5.0MB`.
    max_file_size: Option<String>,
    /// Always null: a file that is too large is not received to its end.
    current_file_size: Option<String>,
    /// The supported formats.
    allowed_formats: Option<Vec<&'static str>>,
    /// Always null.
    field_errors: Option<Vec<String>>,
    /// Suggestions that may help.
    suggestions: Option<Vec<&'static str>>,
    /// Always null.
    resource_id: Option<String>,
}

impl UploadError {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::FileTooLarge { .. } | Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedFormat => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unreadable | Self::TooManyPixels => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// Returns the member `detail`.
    pub(super) fn detail(&self) -> UploadErrorDetail {
        let too_large = |what: &str, limit: u64| {
            let size = size(limit);
            let facts = UploadErrorFacts {
                max_file_size: Some(size.clone()),
                suggestions: Some(vec![
                    "Reduce the dimensions of the file",
                    "Compress the file before you upload it",
                    "Save pictures as JPEG or WebP",
                ]),
                ..UploadErrorFacts::default()
            };
            let message = format!("{what} too large. Please choose a file smaller than {size}.");
            ("UPLOAD_FILE_TOO_LARGE", message, Some(facts))
        };
        let (error_code, user_message, details) = match self {
            Self::FileTooLarge { is_video, limit } => {
                let kind = if *is_video { "video" } else { "image" };
                too_large(&format!("The {kind} file is"), *limit)
            }
            Self::BodyTooLarge { limit } => too_large("The files are together", *limit),
            Self::UnsupportedFormat => (
                "UPLOAD_INVALID_FORMAT",
                "This type of file is not supported.".to_owned(),
                Some(UploadErrorFacts {
                    allowed_formats: Some(ALLOWED_FORMATS.to_vec()),
                    suggestions: Some(vec!["Save the file in one of the supported formats"]),
                    ..UploadErrorFacts::default()
                }),
            ),
            Self::Unreadable => (
                "UPLOAD_PROCESSING_FAILED",
                "There was an error processing your file. Please try again.".to_owned(),
                None,
            ),
            Self::TooManyPixels => (
                "UPLOAD_PROCESSING_FAILED",
                "The picture has too many pixels or frames.".to_owned(),
                Some(UploadErrorFacts {
                    suggestions: Some(vec![
                        "Reduce the picture to 50 megapixels",
                        "Reduce an animation to 500 frames, or upload it as a video",
                    ]),
                    ..UploadErrorFacts::default()
                }),
            ),
        };
        UploadErrorDetail { error_code, user_message, details, request_id: None }
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        Self::Upload(error)
    }
}

impl From<ReceiveError> for ApiError {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Unsupported => UploadError::UnsupportedFormat.into(),
            ReceiveError::Empty => UploadError::Unreadable.into(),
            ReceiveError::TooLarge { is_video, limit } => {
                UploadError::FileTooLarge { is_video, limit }.into()
            }
            ReceiveError::Temporary(error) => Self::MediaUnavailable(error.into()),
        }
    }
}

impl From<&ImageError> for UploadError {
    fn from(error: &ImageError) -> Self {
        match error {
            ImageError::Broken(_) | ImageError::Unread(_) => Self::Unreadable,
            ImageError::TooManyPixels { .. } | ImageError::TooManyFrames => Self::TooManyPixels,
        }
    }
}

/// Returns a size as the original writes it: `512B`, `12.3KB`, `5.0MB`.
fn size(bytes: u64) -> String {
    const KB: u64 = 1024;
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..KB => format!("{bytes}B"),
        KB..0x0010_0000 => format!("{}KB", tenths(KB)),
        _ => format!("{}MB", tenths(KB * KB)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_members_are_those_of_the_original() {
        for (bytes, text) in
            [(512, "512B"), (12_600, "12.3KB"), (5_242_880, "5.0MB"), (104_857_600, "100.0MB")]
        {
            assert_eq!(size(bytes), text);
        }
        let error = UploadError::FileTooLarge { is_video: false, limit: 5_242_880 };
        let detail = serde_json::to_value(error.detail()).unwrap();
        let message = "The image file is too large. Please choose a file smaller than 5.0MB.";
        assert_eq!(detail["user_message"], message);
        assert_eq!(detail["error_code"], "UPLOAD_FILE_TOO_LARGE");
        let members: Vec<_> = detail["details"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members.len(), 6, "null members are kept: {members:?}");
        assert!(detail.as_object().unwrap().contains_key("request_id"));
    }
}
