use std::time::Duration;

use bson::oid::ObjectId;
use bson::{Bson, Document, RawBsonRef, RawDocument, doc};
use chrono::{DateTime, TimeDelta, Utc};
use docstore::{Collection, Database, Filter, Find, Index, Lease, LeaseRequest, Sort, Update};

use crate::domain::{
    Thumbnail, VideoFormat, VideoJob, VideoJobDraft, VideoJobPatch, VideoJobStatus, VideoMetadata,
};
use crate::repository::Error;
use crate::repository::row::{
    Value, date, flag, instant, integer_or_zero, optional_date, read_row, text, text_or_empty, word,
};

/// The collection of the processing of videos.
pub(in crate::repository) const COLLECTION: &str = "video_processing_jobs";

const JOB_ID: &str = "job_id";
const ORIGINAL_FILE: &str = "original_file";
const STATUS: &str = "status";
const CREATED: &str = "created_at";
const UPDATED: &str = "updated_at";
const METADATA: &str = "metadata";
const THUMBNAILS: &str = "thumbnail_options";
const SELECTED: &str = "selected_thumbnail_id";
const FORMATS: &str = "processed_formats";
const ERROR: &str = "error_message";
/// The number of times that the worker of this program took the job. Not in jobs of the original.
const ATTEMPTS: &str = "attempts";
/// The time before which the worker does not take the job again.
const RETRY_AT: &str = "retry_at";
/// True while the worker of this program processes the job.
const IS_OURS: &str = "in_server";

/// The collection of the lease under which one process works on videos.
const LOCK: &str = "_video_lock";
/// The term of the lease: other processes wait this long after its holder died.
const LEASE_TERM: Duration = Duration::from_secs(10);

/// Returns the indexes of the collection. None is unique: databases of the original may hold jobs without an id.
pub(in crate::repository) fn indexes() -> Vec<Index> {
    vec![
        Index::on([JOB_ID]),
        Index::on([ORIGINAL_FILE, CREATED, "_id"]),
        Index::on([STATUS, CREATED, "_id"]),
        Index::on([CREATED, "_id"]),
    ]
}

/// A job that the worker took.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedVideoJob {
    /// The job.
    pub job: VideoJob,
    /// The number of times that it was taken, with this one.
    pub attempts: i64,
}

/// The repository of video jobs. Cheap to clone.
#[derive(Clone)]
pub struct VideoJobs {
    database: Database,
    collection: Collection,
}

impl VideoJobs {
    /// Opens the collection in a database.
    pub fn new(database: &Database) -> Self {
        Self { database: database.clone(), collection: database.collection(COLLECTION) }
    }

    /// Inserts a job.
    pub async fn insert(
        &self,
        job_id: String,
        draft: VideoJobDraft,
        status: VideoJobStatus,
        now: DateTime<Utc>,
    ) -> Result<VideoJob, Error> {
        let VideoJobDraft { original_file, metadata } = draft;
        let document = doc! {
            JOB_ID: &job_id,
            ORIGINAL_FILE: &original_file,
            STATUS: status.as_str(),
            CREATED: instant(now),
            UPDATED: instant(now),
            METADATA: metadata_document(&metadata),
            THUMBNAILS: [],
            SELECTED: "",
            FORMATS: [],
            ERROR: "",
        };
        self.collection.insert_one(document).await?;
        Ok(VideoJob {
            job_id,
            original_file,
            status,
            created: now,
            updated: now,
            metadata,
            thumbnail_options: Vec::new(),
            selected_thumbnail_id: String::new(),
            processed_formats: Vec::new(),
            error_message: String::new(),
        })
    }

    /// Returns the job with this id.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read.
    pub async fn find(&self, job_id: &str) -> Result<Option<VideoJob>, Error> {
        self.find_one(Find::new(Filter::eq(JOB_ID, job_id))).await
    }

    /// Returns the newest job of a file.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read.
    pub async fn find_by_file(&self, original_file: &str) -> Result<Option<VideoJob>, Error> {
        self.find_one(
            Find::new(Filter::eq(ORIGINAL_FILE, original_file))
                .sort(Sort::descending(CREATED).then_descending("_id")),
        )
        .await
    }

    async fn find_one(&self, find: Find) -> Result<Option<VideoJob>, Error> {
        let document = self.collection.find_one_raw(find).await?;
        document.map(|document| read(&document)).transpose()
    }

    /// Returns up to `limit` jobs, newest first. Those that cannot be read are left out.
    pub async fn list(&self, status: Option<VideoJobStatus>, limit: u64) -> Result<Vec<VideoJob>, Error> {
        let filter = status.map_or(Filter::All, |status| Filter::eq(STATUS, status.as_str()));
        let find = Find::new(filter).sort(Sort::descending(CREATED).then_descending("_id")).limit(limit);
        let documents = self.collection.find(find).await?.raw_documents().await?;
        let readable = |document: &bson::RawDocumentBuf| {
            read(document)
                .inspect_err(|error| tracing::error!(%error, "a list skips a corrupt document"))
                .ok()
        };
        Ok(documents.iter().filter_map(readable).collect())
    }

    /// Changes a job. Returns false if there is none.
    pub async fn update(
        &self,
        job_id: &str,
        patch: VideoJobPatch,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let VideoJobPatch {
            status,
            metadata,
            thumbnail_options,
            selected_thumbnail_id,
            processed_formats,
            error_message,
        } = patch;
        let mut update = Update::new().set(UPDATED, instant(now));
        if let Some(status) = status {
            // A written state is final for the worker: it starts over, or stops.
            update = update.set(STATUS, status.as_str()).unset(ATTEMPTS).unset(RETRY_AT).unset(IS_OURS);
        }
        let values = [
            (METADATA, metadata.as_ref().map(|metadata| Bson::from(metadata_document(metadata)))),
            (THUMBNAILS, thumbnail_options.as_deref().map(thumbnails_array)),
            (SELECTED, selected_thumbnail_id.map(Bson::from)),
            (FORMATS, processed_formats.as_deref().map(formats_array)),
            (ERROR, error_message.map(Bson::from)),
        ];
        for (field, value) in values {
            if let Some(value) = value {
                update = update.set(field, value);
            }
        }
        Ok(self.collection.update_one(&Filter::eq(JOB_ID, job_id), &update).await?.matched > 0)
    }

    /// Chooses a thumbnail of a job. Returns false if there is no such job, or if it has no such thumbnail.
    pub async fn select_thumbnail(
        &self,
        job_id: &str,
        thumbnail: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let with_thumbnail =
            Filter::and([Filter::eq(JOB_ID, job_id), Filter::eq("thumbnail_options.id", thumbnail)]);
        let update = Update::new().set(SELECTED, thumbnail).set(UPDATED, instant(now));
        Ok(self.collection.update_one(&with_thumbnail, &update).await?.matched > 0)
    }

    /// Deletes a job. Returns false if there is none.
    pub async fn delete(&self, job_id: &str) -> Result<bool, Error> {
        Ok(self.collection.delete_one(&Filter::eq(JOB_ID, job_id)).await? > 0)
    }

    /// Deletes all jobs of a file.
    pub async fn delete_by_file(&self, original_file: &str) -> Result<(), Error> {
        self.collection.delete_many(&Filter::eq(ORIGINAL_FILE, original_file)).await?;
        Ok(())
    }

    /// Reports whether the worker has something to do.
    pub async fn is_work_due(&self, now: DateTime<Utc>) -> Result<bool, Error> {
        for find in due(now) {
            if self.collection.find_one_raw(find).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Acquires the lease of the worker, unless another process has it.
    pub async fn acquire_worker_lease(&self) -> Result<Option<WorkerLease>, Error> {
        let request = LeaseRequest {
            collection: LOCK.to_owned(),
            name: "worker".to_owned(),
            owner: ObjectId::new().to_hex(),
            ttl: LEASE_TERM,
        };
        Ok(self.database.acquire_lease(request).await?.ok().map(WorkerLease))
    }

    /// Takes the oldest job that is due: one whose worker died, or a pending one. Only the holder of the worker's lease
    /// may call this. A job that cannot be read fails.
    pub async fn claim(&self, now: DateTime<Utc>) -> Result<Option<ClaimedVideoJob>, Error> {
        for find in due(now) {
            let Some(found) = self.collection.find_one(find).await? else { continue };
            // The state is compared again, since clients may change it concurrently.
            let same = ["_id", STATUS]
                .map(|field| Filter::eq(field, found.get(field).cloned().unwrap_or(Bson::Null)));
            let update = Update::new()
                .set(STATUS, VideoJobStatus::Processing.as_str())
                .set(IS_OURS, true)
                .set(UPDATED, instant(now))
                .inc(ATTEMPTS, 1_i64)
                .unset(RETRY_AT);
            let claimed = self.collection.find_one_and_update(Filter::and(same.clone()), update).await?;
            let Some(claimed) = claimed else { continue };
            let attempts = read_row(COLLECTION, &claimed, |row| row.read(ATTEMPTS, integer_or_zero))?;
            match read(&claimed) {
                Ok(job) => return Ok(Some(ClaimedVideoJob { job, attempts })),
                Err(error) => {
                    tracing::error!(%error, "a video job cannot be read");
                    let [by_id, _] = same;
                    let failed = Update::new()
                        .set(STATUS, VideoJobStatus::Failed.as_str())
                        .set(ERROR, "the job cannot be read")
                        .unset(IS_OURS);
                    self.collection.update_one(&by_id, &failed).await?;
                }
            }
        }
        Ok(None)
    }

    /// Ends a job that the worker took, with these changes. Returns false, and changes nothing, if a client has changed its
    /// state.
    pub async fn finish(
        &self,
        claimed: &ClaimedVideoJob,
        outcome: VideoOutcome,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let filter = Filter::and([
            Filter::eq(JOB_ID, claimed.job.job_id.as_str()),
            Filter::eq(IS_OURS, true),
            Filter::eq(ATTEMPTS, claimed.attempts),
        ]);
        let update = Update::new().set(UPDATED, instant(now)).unset(IS_OURS);
        let update = match outcome {
            VideoOutcome::Completed { metadata, thumbnails, formats } => {
                let update = update
                    .set(STATUS, VideoJobStatus::Completed.as_str())
                    .set(METADATA, metadata_document(&metadata))
                    .set(THUMBNAILS, thumbnails_array(&thumbnails))
                    .set(FORMATS, formats_array(&formats))
                    .set(ERROR, "");
                let selected = &claimed.job.selected_thumbnail_id;
                if thumbnails.iter().any(|thumbnail| thumbnail.id == *selected) {
                    update
                } else {
                    update.set(SELECTED, "")
                }
            }
            VideoOutcome::Retried { reason, delay } => update
                .set(STATUS, VideoJobStatus::Pending.as_str())
                .set(RETRY_AT, instant(now + delay))
                .set(ERROR, reason),
            VideoOutcome::Postponed => {
                update.set(STATUS, VideoJobStatus::Pending.as_str()).inc(ATTEMPTS, -1_i64)
            }
            VideoOutcome::GivenUp { reason } => {
                update.set(STATUS, VideoJobStatus::Failed.as_str()).set(ERROR, reason)
            }
        };
        Ok(self.collection.update_one(&filter, &update).await?.matched > 0)
    }
}

/// The lease of the worker.
pub struct WorkerLease(Lease);

impl WorkerLease {
    /// Renews the lease, several times in each term. Returns false if it was lost.
    pub async fn renew(&self) -> Result<bool, Error> {
        Ok(self.0.renew().await?)
    }

    /// Releases the lease. If that fails, it expires.
    pub async fn release(&self) {
        if let Err(error) = self.0.release().await {
            tracing::warn!(%error, "failed to release the lease of the video worker; it expires by itself");
        }
    }
}

/// The result of an attempt of the worker.
#[derive(Debug, Clone, PartialEq)]
pub enum VideoOutcome {
    /// The files were made.
    Completed {
        /// The facts about the video.
        metadata: VideoMetadata,
        /// The pictures.
        thumbnails: Vec<Thumbnail>,
        /// The files.
        formats: Vec<VideoFormat>,
    },
    /// The attempt failed; another follows.
    Retried {
        /// The reason for the failure.
        reason: String,
        /// The time until the next attempt.
        delay: TimeDelta,
    },
    /// The attempt was interrupted by a shutdown and does not count.
    Postponed,
    /// No attempt can succeed.
    GivenUp {
        /// The reason for the failure.
        reason: String,
    },
}

/// Returns the queries for jobs that the worker may take: those whose worker died, then pending ones.
fn due(now: DateTime<Utc>) -> [Find; 2] {
    let with_status =
        |status: VideoJobStatus, more| Find::new(Filter::and([Filter::eq(STATUS, status.as_str()), more]));
    let is_due = Filter::or([Filter::missing(RETRY_AT), Filter::lte(RETRY_AT, instant(now))]);
    [
        with_status(VideoJobStatus::Processing, Filter::eq(IS_OURS, true))
            .sort(Sort::ascending(CREATED).then_ascending("_id")),
        with_status(VideoJobStatus::Pending, is_due).sort(Sort::ascending(CREATED).then_ascending("_id")),
    ]
}

fn read(document: &RawDocument) -> Result<VideoJob, Error> {
    read_row(COLLECTION, document, |row| {
        let created = row.read(CREATED, date)?;
        Ok(VideoJob {
            job_id: row.read(JOB_ID, text)?,
            original_file: row.read(ORIGINAL_FILE, text)?,
            status: row.read(STATUS, word)?,
            created,
            updated: row.read(UPDATED, optional_date)?.unwrap_or(created),
            metadata: row.read(METADATA, |value| metadata(value, created))?,
            thumbnail_options: row.read(THUMBNAILS, |value| documents(value, thumbnail))?,
            selected_thumbnail_id: row.read(SELECTED, text_or_empty)?,
            processed_formats: row.read(FORMATS, |value| elements(value, format))?,
            error_message: row.read(ERROR, text_or_empty)?,
        })
    })
}

/// Reads facts, which are missing in jobs that only the cloud function wrote.
fn metadata(value: Value<'_>, created: DateTime<Utc>) -> Option<VideoMetadata> {
    let document = match value {
        None => RawDocument::from_bytes(b"\x05\0\0\0\0").expect("an empty document"),
        Some(value) => value.as_document()?,
    };
    let field = |name| document.get(name).ok().flatten().filter(|value| *value != RawBsonRef::Null);
    Some(VideoMetadata {
        duration_seconds: number(field("duration_seconds"))?,
        width: integer_or_zero(field("width"))?,
        height: integer_or_zero(field("height"))?,
        file_size: integer_or_zero(field("file_size"))?,
        content_type: text_or_empty(field("content_type"))?,
        upload_time: optional_date(field("upload_time"))?.unwrap_or(created),
    })
}

fn thumbnail(document: &RawDocument) -> Option<Thumbnail> {
    let field = |name| document.get(name).ok().flatten().filter(|value| *value != RawBsonRef::Null);
    Some(Thumbnail {
        id: text(field("id"))?,
        url: text(field("url"))?,
        timestamp_seconds: number(field("timestamp_seconds"))?,
        is_custom: flag(field("is_custom"))?,
    })
}

fn format(value: RawBsonRef<'_>) -> Option<VideoFormat> {
    if let Some(name) = value.as_str() {
        return Some(VideoFormat::Name(name.to_owned()));
    }
    let document = value.as_document()?;
    let field = |name| document.get(name).ok().flatten().filter(|value| *value != RawBsonRef::Null);
    Some(VideoFormat::File {
        format: text_or_empty(field("format"))?,
        url: text(field("url"))?,
        width: integer_or_zero(field("width"))?,
        height: integer_or_zero(field("height"))?,
    })
}

/// Reads a list that is empty by default.
fn elements<T>(value: Value<'_>, read: impl Fn(RawBsonRef<'_>) -> Option<T>) -> Option<Vec<T>> {
    match value {
        None => Some(Vec::new()),
        Some(value) => value.as_array()?.into_iter().map(|element| read(element.ok()?)).collect(),
    }
}

fn documents<T>(value: Value<'_>, read: impl Fn(&RawDocument) -> Option<T>) -> Option<Vec<T>> {
    elements(value, |element| read(element.as_document()?))
}

/// Reads a number of any width, zero by default.
fn number(value: Value<'_>) -> Option<f64> {
    match value {
        Some(RawBsonRef::Double(number)) => Some(if number.is_finite() { number } else { 0.0 }),
        #[expect(clippy::cast_precision_loss, reason = "seconds are small")]
        other => integer_or_zero(other).map(|number| number as f64),
    }
}

fn metadata_document(metadata: &VideoMetadata) -> Document {
    let VideoMetadata { duration_seconds, width, height, file_size, content_type, upload_time } = metadata;
    doc! {
        "duration_seconds": *duration_seconds, "width": *width, "height": *height, "file_size": *file_size,
        "content_type": content_type, "upload_time": instant(*upload_time),
    }
}

fn thumbnails_array(thumbnails: &[Thumbnail]) -> Bson {
    let document = |thumbnail: &Thumbnail| {
        let Thumbnail { id, url, timestamp_seconds, is_custom } = thumbnail;
        doc! { "id": id, "url": url, "timestamp_seconds": *timestamp_seconds, "is_custom": *is_custom }
    };
    Bson::Array(thumbnails.iter().map(|thumbnail| document(thumbnail).into()).collect())
}

fn formats_array(formats: &[VideoFormat]) -> Bson {
    let value = |format: &VideoFormat| match format {
        VideoFormat::Name(name) => Bson::from(name.as_str()),
        VideoFormat::File { format, url, width, height } => {
            doc! { "format": format, "url": url, "width": *width, "height": *height }.into()
        }
    };
    Bson::Array(formats.iter().map(value).collect())
}
