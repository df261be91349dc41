use chrono::{DateTime, Utc};

use super::resource::string_enum;
use super::url::is_web_url;

/// The maximum number of thumbnails or of formats of a job.
pub const MAX_VIDEO_RESULTS: usize = 50;

string_enum! {
    /// The state of a job.
    VideoJobStatus {
        /// Waits for a worker.
        Pending = "pending",
        /// Belongs to another program.
        Started = "started",
        /// A worker processes it.
        Processing = "processing",
        /// Done.
        Completed = "completed",
        /// Failed for good.
        Failed = "failed",
    }
}

/// The processing of an uploaded video.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoJob {
    /// The id, a UUID.
    pub job_id: String,
    /// The name of the uploaded file.
    pub original_file: String,
    /// The state.
    pub status: VideoJobStatus,
    /// The time of its creation.
    pub created: DateTime<Utc>,
    /// The time of its last change.
    pub updated: DateTime<Utc>,
    /// Facts about the uploaded file.
    pub metadata: VideoMetadata,
    /// The pictures of which an author may choose one.
    pub thumbnail_options: Vec<Thumbnail>,
    /// The id of the chosen one, or empty.
    pub selected_thumbnail_id: String,
    /// The files that were made of the video.
    pub processed_formats: Vec<VideoFormat>,
    /// The reason for the failure, or empty.
    pub error_message: String,
}

/// Facts about an uploaded video. Numbers that are not known are zero.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoMetadata {
    /// The duration in seconds.
    pub duration_seconds: f64,
    /// The width as displayed, in pixels.
    pub width: i64,
    /// The height as displayed, in pixels.
    pub height: i64,
    /// The number of bytes.
    pub file_size: i64,
    /// The media type.
    pub content_type: String,
    /// The time of the upload.
    pub upload_time: DateTime<Utc>,
}

/// A picture from a video.
#[derive(Debug, Clone, PartialEq)]
pub struct Thumbnail {
    /// The id within the job.
    pub id: String,
    /// The path or URL of the picture.
    pub url: String,
    /// Its position in the video.
    pub timestamp_seconds: f64,
    /// True if it was uploaded, not taken from the video.
    pub is_custom: bool,
}

/// A file that was made of a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VideoFormat {
    /// Its name or URL alone, as the original declares it.
    Name(String),
    /// Name, URL and dimensions, as the original's cloud function stores it.
    File {
        /// The name of the format, such as `mp4_720p`.
        format: String,
        /// The path or URL of the file.
        url: String,
        /// The width in pixels.
        width: i64,
        /// The height in pixels.
        height: i64,
    },
}

/// A new job.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoJobDraft {
    /// The name of the uploaded file.
    pub original_file: String,
    /// Facts about it.
    pub metadata: VideoMetadata,
}

/// Changes to a job. What is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VideoJobPatch {
    /// The new state.
    pub status: Option<VideoJobStatus>,
    /// The new facts.
    pub metadata: Option<VideoMetadata>,
    /// The new pictures.
    pub thumbnail_options: Option<Vec<Thumbnail>>,
    /// The id of the chosen picture, or empty.
    pub selected_thumbnail_id: Option<String>,
    /// The new files.
    pub processed_formats: Option<Vec<VideoFormat>>,
    /// The reason for a failure.
    pub error_message: Option<String>,
}

/// Reports whether a text is the path of an uploaded file or a web URL.
pub fn is_media_url(text: &str) -> bool {
    is_web_url(text) || text.strip_prefix("/uploads/").is_some_and(|path| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_urls_are_uploads_or_web_urls() {
        for good in ["/uploads/thumbnails/a.jpg", "https://cdn.example/a.jpg"] {
            assert!(is_media_url(good), "{good}");
        }
        for bad in [
            "",
            "/uploads/",
            "javascript:alert(1)",
            "//evil.example/a.jpg",
            "data:image/png;base64,",
            "a.jpg",
        ] {
            assert!(!is_media_url(bad), "{bad}");
        }
    }
}
