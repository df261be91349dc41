use std::sync::Arc;

use serde_json::{Value, json};

use crate::domain::{
    Caller, MAX_VIDEO_RESULTS, Thumbnail, VideoFormat, VideoJob, VideoJobDraft, VideoJobPatch,
    VideoJobStatus, VideoMetadata, is_media_url,
};
use crate::http::ApiError;
use crate::http::error::FieldError;
use crate::http::extract::{
    AuthorOrWorker, FieldValue, MAX_SAFE_INTEGER, PathParam, RawValue, Rule, ValidQuery, WorkerBody,
    absent_is, check_length, described, invalid, omittable, optional, query, read_elements, read_object,
    request, required,
};
use crate::http::openapi::schema::ValueSchema;
use crate::http::respond::{Array, Body, NaiveTime, Nested, WireField, WireValue, response};
use crate::service::Services;

/// The maximum length of the name of a file.
const MAX_FILE: u64 = 1024;
/// The maximum length of a URL.
const MAX_URL: u64 = 2048;
/// The maximum length of the id of a thumbnail, and of the name of a format.
const MAX_NAME: u64 = 200;
/// The maximum length of the reason for a failure.
const MAX_ERROR: u64 = 5000;
/// The rule for URLs.
const URL_RULE: &str = "must begin with /uploads/, http:// or https://";
const URL_PATTERN: &str = r"^(?:/uploads/.|https?://)";

query! {
    /// The parameters of a list of video jobs.
    VideoJobsQuery {
        /// Only jobs in this state.
        status: Option<VideoJobStatus> = optional(),
    }
}

request! {
    /// Facts about an uploaded video.
    VideoMetadata as "VideoMetadata" {
        duration_seconds: required().not_negative(),
        width: required().range(0..=MAX_SAFE_INTEGER),
        height: required().range(0..=MAX_SAFE_INTEGER),
        file_size: required().range(0..=MAX_SAFE_INTEGER),
        content_type: required().length(0..=MAX_NAME),
        /// A time without zone is in UTC.
        upload_time: required(),
    }
    example {
        "duration_seconds": 12.5, "width": 1920, "height": 1080, "file_size": 7_340_032, "content_type": "video/mp4",
        "upload_time": "2026-01-02T03:04:05Z",
    }
}

request! {
    /// A picture from a video.
    Thumbnail as "VideoThumbnailWrite" {
        id: required().length(1..=MAX_NAME),
        url: required().length(1..=MAX_URL).check(is_media_url, URL_RULE).pattern(URL_PATTERN),
        timestamp_seconds: required().not_negative(),
        is_custom: absent_is(false),
    }
    example { "id": "thumb_1s", "url": "/uploads/thumbnails/a_thumb_0.jpg", "timestamp_seconds": 1.25 }
}

request! {
    VideoFormat {
        format: required().length(1..=MAX_NAME),
        url: required().length(1..=MAX_URL).check(is_media_url, URL_RULE).pattern(URL_PATTERN),
        width: required().range(0..=MAX_SAFE_INTEGER),
        height: required().range(0..=MAX_SAFE_INTEGER),
    }
    => VideoFormat::File { format, url, width, height }
}

request! {
    /// A new job for a video that another program works on.
    VideoJobDraft as "VideoJobCreate" {
        original_file: required().length(1..=MAX_FILE),
        metadata: required(),
    }
    example {
        "original_file": "uploads/video/originals/20260102_030405_0a1b2c3d.mp4",
        "metadata": {
            "duration_seconds": 12.5, "width": 1920, "height": 1080, "file_size": 7_340_032,
            "content_type": "video/mp4", "upload_time": "2026-01-02T03:04:05Z",
        },
    }
}

request! {
    /// Changes to a job. A field that is absent stays as it is.
    VideoJobPatch as "VideoJobUpdate" {
        /// `pending` lets the worker of the server take the job.
        status: omittable(),
        metadata: omittable(),
        thumbnail_options: omittable().at_most(MAX_VIDEO_RESULTS),
        /// The id of one of the thumbnails, or empty.
        selected_thumbnail_id: omittable().length(0..=MAX_NAME),
        processed_formats: omittable().at_most(MAX_VIDEO_RESULTS),
        error_message: omittable().length(0..=MAX_ERROR),
    }
    example { "status": "failed", "error_message": "no video stream" }
}

/// Changes to the newest job of a file.
pub(crate) struct UpdateByFile {
    original_file: String,
    update_data: VideoJobPatch,
}

request! {
    /// Changes to the newest job of a file.
    UpdateByFile as "VideoJobUpdateByFile" {
        original_file: required().length(1..=MAX_FILE),
        update_data: required(),
    }
    example {
        "original_file": "uploads/video/originals/20260102_030405_0a1b2c3d.mp4",
        "update_data": { "status": "completed" },
    }
}

/// A choice among the thumbnails of a job.
pub(crate) struct ThumbnailChoice {
    thumbnail_id: String,
}

request! {
    /// A choice among the thumbnails of a job.
    ThumbnailChoice as "VideoThumbnailChoice" {
        thumbnail_id: required().length(1..=MAX_NAME),
    }
    example { "thumbnail_id": "thumb_1s" }
}

/// Implements the field types that are objects.
macro_rules! objects {
    ($($type:ty)+) => {$(
        impl ValueSchema for $type {
            fn schema() -> Value {
                described::<Self>()
            }
        }

        impl FieldValue for $type {
            fn parse(input: RawValue<'_>) -> Result<Self, Vec<FieldError>> {
                read_object(input)
            }
        }
    )+};
}

objects! { VideoMetadata Thumbnail }

/// Changes within another body. Unlike there, a member that is unknown is refused: the original stores any.
impl ValueSchema for VideoJobPatch {
    fn schema() -> Value {
        let mut schema = described::<Self>();
        schema["additionalProperties"] = json!(false);
        schema["minProperties"] = json!(1);
        schema
    }
}

impl FieldValue for VideoJobPatch {
    fn parse(input: RawValue<'_>) -> Result<Self, Vec<FieldError>> {
        if let RawValue::Json(Value::Object(members)) = &input {
            let schema = described::<Self>();
            if members.is_empty() || members.keys().any(|name| schema["properties"].get(name).is_none()) {
                return Err(vec![invalid(
                    "value_error",
                    "must have members of a job that can change, and no others",
                )]);
            }
        }
        read_object(input)
    }
}

impl ValueSchema for VideoFormat {
    fn schema() -> Value {
        json!({ "anyOf": [{ "type": "string", "minLength": 1, "maxLength": MAX_URL }, described::<Self>()] })
    }
}

impl FieldValue for VideoFormat {
    fn parse(input: RawValue<'_>) -> Result<Self, Vec<FieldError>> {
        match &input {
            RawValue::Json(Value::String(_)) => {
                let name = required::<String>().length(1..=MAX_URL).parse_value(input)?;
                Ok(Self::Name(name))
            }
            _ => read_object(input),
        }
    }
}

impl FieldValue for Vec<Thumbnail> {
    fn parse(input: RawValue<'_>) -> Result<Self, Vec<FieldError>> {
        read_elements(input)
    }

    fn check(&self, rule: &Rule) -> Vec<FieldError> {
        check_length(self.len(), rule)
    }
}

impl FieldValue for Vec<VideoFormat> {
    fn parse(input: RawValue<'_>) -> Result<Self, Vec<FieldError>> {
        read_elements(input)
    }

    fn check(&self, rule: &Rule) -> Vec<FieldError> {
        check_length(self.len(), rule)
    }
}

/// Facts about a video, for clients.
struct MetadataView {
    duration_seconds: f64,
    width: i64,
    height: i64,
    file_size: i64,
    content_type: String,
    upload_time: NaiveTime,
}

response! {
    /// Facts about an uploaded video. Numbers that are not known are zero.
    MetadataView as "VideoFacts" {
        duration_seconds,
        width,
        height,
        file_size,
        content_type,
        upload_time,
    }
    example {
        "duration_seconds": 12.5, "width": 1920, "height": 1080, "file_size": 7_340_032, "content_type": "video/mp4",
        "upload_time": "2026-01-02T03:04:05",
    }
}

response! {
    /// A picture from a video.
    Thumbnail as "VideoThumbnail" {
        id,
        url,
        timestamp_seconds,
        is_custom,
    }
    example {
        "id": "thumb_1s", "url": "/uploads/thumbnails/a_thumb_0.jpg", "timestamp_seconds": 1.25, "is_custom": false,
    }
}

/// A file that was made of a video, for clients.
struct FileView {
    format: String,
    url: String,
    width: i64,
    height: i64,
}

response! {
    /// A file that was made of a video.
    FileView as "VideoFile" {
        format,
        url,
        width,
        height,
    }
    example { "format": "mp4_720p", "url": "/uploads/video/mp4_720p/a.mp4", "width": 1280, "height": 720 }
}

/// A format, for clients: a name or a file.
enum FormatView {
    Name(String),
    File(Nested<FileView>),
}

impl From<VideoFormat> for FormatView {
    fn from(format: VideoFormat) -> Self {
        match format {
            VideoFormat::Name(name) => Self::Name(name),
            VideoFormat::File { format, url, width, height } => {
                Self::File(Nested(FileView { format, url, width, height }))
            }
        }
    }
}

impl ValueSchema for FormatView {
    fn schema() -> Value {
        json!({ "anyOf": [{ "type": "string" }, Nested::<FileView>::schema()] })
    }
}

impl WireValue for FormatView {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Name(name) => name.serialize(serializer),
            Self::File(file) => file.serialize(serializer),
        }
    }
}

impl WireValue for Vec<FormatView> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(WireField))
    }
}

/// A job, for clients.
pub(crate) struct VideoJobView {
    job_id: String,
    original_file: String,
    status: VideoJobStatus,
    created: NaiveTime,
    updated: NaiveTime,
    metadata: Nested<MetadataView>,
    thumbnail_options: Vec<Nested<Thumbnail>>,
    selected_thumbnail_id: String,
    processed_formats: Vec<FormatView>,
    error_message: String,
}

impl From<VideoJob> for VideoJobView {
    fn from(job: VideoJob) -> Self {
        let VideoJob {
            job_id,
            original_file,
            status,
            created,
            updated,
            metadata,
            thumbnail_options,
            selected_thumbnail_id,
            processed_formats,
            error_message,
        } = job;
        let VideoMetadata { duration_seconds, width, height, file_size, content_type, upload_time } =
            metadata;
        let upload_time = NaiveTime(upload_time);
        Self {
            job_id,
            original_file,
            status,
            created: NaiveTime(created),
            updated: NaiveTime(updated),
            metadata: Nested(MetadataView {
                duration_seconds,
                width,
                height,
                file_size,
                content_type,
                upload_time,
            }),
            thumbnail_options: thumbnail_options.into_iter().map(Nested).collect(),
            selected_thumbnail_id,
            processed_formats: processed_formats.into_iter().map(FormatView::from).collect(),
            error_message,
        }
    }
}

response! {
    /// The processing of an uploaded video. Times are in UTC and have no zone.
    VideoJobView as "VideoJob" {
        job_id,
        original_file,
        status,
        created as "created_at",
        updated as "updated_at",
        metadata,
        thumbnail_options,
        /// The id of the chosen thumbnail, or empty.
        selected_thumbnail_id,
        processed_formats,
        /// The reason why the job, or its last attempt, failed; otherwise empty.
        error_message,
    }
    example {
        "job_id": "0f0e3c6e-58b1-4b0c-9d5c-0a1b2c3d4e5f",
        "original_file": "uploads/video/originals/20260102_030405_0a1b2c3d.mp4", "status": "completed",
        "created_at": "2026-01-02T03:04:05.678000", "updated_at": "2026-01-02T03:04:35",
        "metadata": {
            "duration_seconds": 12.5, "width": 1920, "height": 1080, "file_size": 7_340_032,
            "content_type": "video/mp4", "upload_time": "2026-01-02T03:04:05",
        },
        "thumbnail_options": [{
            "id": "thumb_1s", "url": "/uploads/thumbnails/20260102_030405_0a1b2c3d_thumb_0.jpg",
            "timestamp_seconds": 1.25, "is_custom": false,
        }],
        "selected_thumbnail_id": "",
        "processed_formats": [{
            "format": "mp4_720p", "url": "/uploads/video/mp4_720p/20260102_030405_0a1b2c3d.mp4", "width": 1280,
            "height": 720,
        }],
        "error_message": "",
    }
}

/// The outcome of a create.
pub(crate) struct JobCreated {
    job_id: String,
    status: VideoJobStatus,
    message: String,
}

response! {
    /// The outcome of a create.
    JobCreated as "VideoJobCreated" {
        job_id,
        status,
        message,
    }
    example {
        "job_id": "0f0e3c6e-58b1-4b0c-9d5c-0a1b2c3d4e5f", "status": "started",
        "message": "Video processing job created successfully",
    }
}

/// The outcome of a change.
pub(crate) struct JobChanged {
    status: String,
    message: String,
}

response! {
    /// The outcome of a change.
    JobChanged as "VideoJobChanged" {
        status,
        message,
    }
    example { "status": "updated", "message": "Video processing job 0f0e3c6e updated successfully" }
}

/// The outcome of a choice.
pub(crate) struct ThumbnailChosen {
    status: String,
    thumbnail_id: String,
    message: String,
}

response! {
    /// The outcome of a choice.
    ThumbnailChosen as "VideoThumbnailChosen" {
        status,
        thumbnail_id,
        message,
    }
    example {
        "status": "thumbnail_selected", "thumbnail_id": "thumb_1s",
        "message": "Thumbnail thumb_1s selected for job 0f0e3c6e",
    }
}

pub(crate) async fn list(
    services: Arc<Services>,
    ValidQuery(VideoJobsQuery { status }): ValidQuery<VideoJobsQuery>,
    _caller: Caller,
) -> Result<Array<VideoJobView>, ApiError> {
    let jobs = services.video_jobs.list(status).await?;
    Ok(Array(jobs.into_iter().map(VideoJobView::from).collect()))
}

pub(crate) async fn show(
    services: Arc<Services>,
    PathParam(job_id): PathParam,
    _caller: Caller,
) -> Result<Body<VideoJobView>, ApiError> {
    Ok(Body(services.video_jobs.by_id(&job_id).await?.into()))
}

pub(crate) async fn create(
    services: Arc<Services>,
    WorkerBody(draft): WorkerBody<VideoJobDraft>,
) -> Result<Body<JobCreated>, ApiError> {
    let VideoJob { job_id, status, .. } = services.video_jobs.create(draft).await?;
    Ok(Body(JobCreated { job_id, status, message: "Video processing job created successfully".to_owned() }))
}

pub(crate) async fn update(
    services: Arc<Services>,
    PathParam(job_id): PathParam,
    WorkerBody(patch): WorkerBody<VideoJobPatch>,
) -> Result<Body<JobChanged>, ApiError> {
    services.video_jobs.update(&job_id, patch).await?;
    Ok(Body(changed("updated", &job_id)))
}

pub(crate) async fn update_by_file(
    services: Arc<Services>,
    WorkerBody(UpdateByFile { original_file, update_data }): WorkerBody<UpdateByFile>,
) -> Result<Body<JobChanged>, ApiError> {
    services.video_jobs.update_by_file(&original_file, update_data).await?;
    Ok(Body(changed("updated", &format!("for {original_file}"))))
}

pub(crate) async fn select_thumbnail(
    services: Arc<Services>,
    PathParam(job_id): PathParam,
    WorkerBody(ThumbnailChoice { thumbnail_id }): WorkerBody<ThumbnailChoice>,
) -> Result<Body<ThumbnailChosen>, ApiError> {
    services.video_jobs.select_thumbnail(&job_id, &thumbnail_id).await?;
    let message = format!("Thumbnail {thumbnail_id} selected for job {job_id}");
    Ok(Body(ThumbnailChosen { status: "thumbnail_selected".to_owned(), thumbnail_id, message }))
}

pub(crate) async fn delete(
    services: Arc<Services>,
    PathParam(job_id): PathParam,
    _author: AuthorOrWorker,
) -> Result<Body<JobChanged>, ApiError> {
    services.video_jobs.delete(&job_id).await?;
    Ok(Body(changed("deleted", &job_id)))
}

fn changed(what: &str, job: &str) -> JobChanged {
    JobChanged { status: what.to_owned(), message: format!("Video processing job {job} {what} successfully") }
}
