use std::future::Future;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::TryStreamExt as _;
use tokio::sync::OnceCell;

use super::media_facts::{preview, variant};
use super::{Error, VideoJobs};
use crate::domain::{MediaAddition, Thumbnail, VideoFormat, VideoMetadata};
use crate::media::video::{self, Ffmpeg, FfmpegSettings, ProcessError, Processed, SOURCE, WorkFolder};
use crate::media::{ExaminedFile, Key, MediaId, Storage, StorageError, examine};
use crate::repository::{self, ClaimedVideoJob, VideoOutcome, WorkerLease};

/// The interval of polling for jobs that another process or program created.
const POLL: Duration = Duration::from_secs(5);
/// The time between two renewals of the lease.
const RENEWAL: Duration = Duration::from_secs(3);
/// The number of attempts after which a job fails.
const MAX_ATTEMPTS: i64 = 5;
/// The time until the second attempt; each one after it waits four times as long.
const FIRST_DELAY: TimeDelta = TimeDelta::seconds(30);
/// The maximum size of an uploaded file. Uploads have a lower limit; other programs write to the storage as well.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// Processes uploaded videos, one at a time.
///
/// A lease in the store lets one process work at a time; a job that a killed process left is taken again by the next holder.
/// The files of a job have fixed names, which clients keep forever: a repetition leaves those that exist as they are. They enter the
/// library before the job is completed, so that a killed process leaves nothing out.
pub struct VideoWorker {
    jobs: VideoJobs,
    storage: Storage,
    settings: FfmpegSettings,
    /// The program, once it was needed and found.
    ffmpeg: OnceCell<Ffmpeg>,
    /// True after its absence was logged.
    is_missed: AtomicBool,
}

/// The failure of an attempt.
#[derive(Debug, thiserror::Error)]
enum AttemptError {
    /// No attempt can succeed.
    #[error("{0}")]
    Hopeless(String),
    /// Another attempt may succeed.
    #[error("{0}")]
    Temporary(String),
}

impl From<StorageError> for AttemptError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::NotFound => Self::Hopeless("the uploaded file does not exist".to_owned()),
            // Details of the storage are for the log, not for the readers of jobs.
            error => {
                tracing::warn!(%error, "the storage failed while a video was processed");
                Self::Temporary("the storage of media failed".to_owned())
            }
        }
    }
}

impl From<repository::Error> for AttemptError {
    fn from(error: repository::Error) -> Self {
        tracing::warn!(%error, "the store failed while a video was processed");
        Self::Temporary("the store failed".to_owned())
    }
}

impl From<std::io::Error> for AttemptError {
    fn from(error: std::io::Error) -> Self {
        Self::Temporary(format!("the temporary folder failed: {error}"))
    }
}

impl From<ProcessError> for AttemptError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::NotAVideo(error) => Self::Hopeless(error.to_string()),
            error @ ProcessError::Ffmpeg(_) => Self::Temporary(error.to_string()),
        }
    }
}

impl VideoWorker {
    /// Works on the jobs of `jobs`, whose files are in `storage`.
    pub fn new(jobs: VideoJobs, storage: Storage, settings: FfmpegSettings) -> Self {
        Self { jobs, storage, settings, ffmpeg: OnceCell::new(), is_missed: AtomicBool::default() }
    }

    /// Works until `stop` completes.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            match self.work(stop.as_mut()).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "the work on videos is postponed"),
            }
            tokio::select! {
                () = stop.as_mut() => return,
                () = self.jobs.wake.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Works on all jobs that are due, unless another process does. Returns true if `stop` completed.
    ///
    /// # Errors
    /// The failure of the store.
    pub async fn work(&self, stop: impl Future<Output = ()>) -> Result<bool, Error> {
        tokio::pin!(stop);
        if !self.jobs.jobs.is_work_due(self.jobs.clock.now()).await? {
            return Ok(false);
        }
        let Some(ffmpeg) = self.find_ffmpeg().await else { return Ok(false) };
        let Some(lease) = self.jobs.jobs.acquire_worker_lease().await? else { return Ok(false) };
        let outcome = self.work_under(&lease, ffmpeg, stop.as_mut()).await;
        lease.release().await;
        outcome
    }

    /// Returns the program. Without it jobs wait: it may be installed, or another program may work on them.
    async fn find_ffmpeg(&self) -> Option<&Ffmpeg> {
        let find = async || {
            let settings = self.settings.clone();
            tokio::task::spawn_blocking(move || Ffmpeg::find(&settings))
                .await
                .expect("the search does not panic")
        };
        match self.ffmpeg.get_or_try_init(find).await {
            Ok(ffmpeg) => Some(ffmpeg),
            Err(missing) => {
                if !self.is_missed.swap(true, Ordering::Relaxed) {
                    tracing::warn!(missing, "videos are not processed: their jobs stay pending");
                }
                None
            }
        }
    }

    async fn work_under(
        &self,
        lease: &WorkerLease,
        ffmpeg: &Ffmpeg,
        stop: impl Future<Output = ()>,
    ) -> Result<bool, Error> {
        tokio::pin!(stop);
        while let Some(claimed) = self.jobs.jobs.claim(self.jobs.clock.now()).await? {
            let (job_id, attempt) = (&claimed.job.job_id, claimed.attempts);
            tracing::info!(job_id, attempt, file = claimed.job.original_file, "processing a video");
            let attempt = self.attempt(&claimed, ffmpeg.clone());
            tokio::pin!(attempt);
            let outcome = loop {
                tokio::select! {
                    outcome = attempt.as_mut() => break Some(outcome),
                    () = stop.as_mut() => break None,
                    () = tokio::time::sleep(RENEWAL) => {
                        // After the loss of the lease another process works on the job.
                        if !lease.renew().await? {
                            return Ok(false);
                        }
                    }
                }
            };
            let is_stopped = outcome.is_none();
            let outcome = outcome.map_or(VideoOutcome::Postponed, |outcome| conclude(&claimed, outcome));
            match &outcome {
                VideoOutcome::Completed { .. } => tracing::info!(job_id, "a video is processed"),
                VideoOutcome::Retried { reason, .. } => {
                    tracing::warn!(job_id, reason, "a video is tried again later");
                }
                VideoOutcome::GivenUp { reason } => {
                    tracing::error!(job_id, reason, "a video cannot be processed");
                }
                VideoOutcome::Postponed => {
                    tracing::info!(job_id, "a video is processed after the next start");
                }
            }
            self.jobs.jobs.finish(&claimed, outcome, self.jobs.clock.now()).await?;
            if is_stopped {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn attempt(&self, claimed: &ClaimedVideoJob, ffmpeg: Ffmpeg) -> Result<VideoOutcome, AttemptError> {
        let job = &claimed.job;
        let (work, cancel) = WorkFolder::create(&job.job_id)?;
        if claimed.attempts > MAX_ATTEMPTS {
            let reason = format!("the server was stopped {MAX_ATTEMPTS} times while it processed the video");
            return Err(AttemptError::Hopeless(reason));
        }
        let key = Key::parse(&job.original_file).and_then(|key| Some((key.id()?, key)));
        let (id, key) =
            key.ok_or_else(|| AttemptError::Hopeless("not the name of an uploaded file".to_owned()))?;
        let size = self.download(&key, &work).await?;
        let process = move || (video::process(&ffmpeg, &work), work);
        let (processed, work) =
            tokio::task::spawn_blocking(process).await.expect("processing does not panic");
        let outcome = self.store(&id, processed?, &work, job.metadata.clone(), size).await?;
        drop(cancel);
        Ok(outcome)
    }

    /// Copies the uploaded file into the folder, in pieces. Returns its size.
    async fn download(&self, key: &Key, work: &WorkFolder) -> Result<u64, AttemptError> {
        let too_large = || AttemptError::Hopeless(format!("the file has more than {MAX_BYTES} bytes"));
        let mut object = self.storage.get(key).await?;
        if object.info.size > MAX_BYTES {
            return Err(too_large());
        }
        let mut file = std::fs::File::create(work.file(SOURCE))?;
        let mut size = 0;
        while let Some(piece) = object.body.try_next().await? {
            size += piece.len() as u64;
            if size > MAX_BYTES {
                return Err(too_large());
            }
            let write = move || -> std::io::Result<std::fs::File> {
                file.write_all(&piece)?;
                Ok(file)
            };
            file = tokio::task::spawn_blocking(write).await.expect("writing does not panic")?;
        }
        Ok(size)
    }

    async fn store(
        &self,
        id: &MediaId,
        processed: Processed,
        work: &WorkFolder,
        metadata: VideoMetadata,
        size: u64,
    ) -> Result<VideoOutcome, AttemptError> {
        let Processed { info, poster, thumbnails, smaller_form: (smaller, width, height) } = processed;
        let mut made = vec![self.upload(&id.video_720p(), work, &smaller).await?];
        // One that exists may have other dimensions.
        let (width, height) = match made[0].dimensions() {
            (0, _) => (width, height),
            stored => stored,
        };
        let poster = self.upload(&id.poster(), work, &poster).await?;
        let thumbhash = preview(&poster).await;
        made.push(poster);
        let mut options = Vec::new();
        for (index, (name, timestamp_seconds)) in thumbnails.into_iter().enumerate() {
            let key = id.thumbnail(index);
            made.push(self.upload(&key, work, &name).await?);
            let thumbnail = Thumbnail {
                id: format!("thumb_{index}"),
                url: key.url(),
                timestamp_seconds,
                is_custom: false,
            };
            options.push(thumbnail);
        }
        let format = VideoFormat::File {
            format: "mp4_720p".to_owned(),
            url: id.video_720p().url(),
            width: width.into(),
            height: height.into(),
        };
        let made = MediaAddition {
            variants: made.iter().map(variant).collect(),
            width: info.width.into(),
            height: info.height.into(),
            duration_ms: info.duration_ms.and_then(|duration| i64::try_from(duration).ok()),
            thumbhash,
        };
        self.jobs.media.record_made(id.as_str(), &made).await?;
        #[expect(clippy::cast_precision_loss, reason = "seconds are wanted")]
        let metadata = VideoMetadata {
            duration_seconds: info.duration_ms.unwrap_or(0) as f64 / 1000.0,
            width: info.width.into(),
            height: info.height.into(),
            file_size: i64::try_from(size).unwrap_or(i64::MAX),
            content_type: info.kind.content_type().to_owned(),
            upload_time: metadata.upload_time,
        };
        Ok(VideoOutcome::Completed { metadata, thumbnails: options, formats: vec![format] })
    }

    /// Stores a file, unless there is one with its name: a name never gets other bytes. Returns what is stored.
    async fn upload(&self, key: &Key, work: &WorkFolder, name: &str) -> Result<ExaminedFile, AttemptError> {
        self.storage.put_new_file(key, std::fs::File::open(work.file(name))?).await?;
        Ok(examine(&self.storage, key).await?)
    }
}

/// Decides what follows from an attempt.
fn conclude(claimed: &ClaimedVideoJob, attempt: Result<VideoOutcome, AttemptError>) -> VideoOutcome {
    match attempt {
        Ok(outcome) => outcome,
        Err(AttemptError::Temporary(reason)) if claimed.attempts < MAX_ATTEMPTS => {
            let retries = u32::try_from(claimed.attempts - 1).unwrap_or(0);
            VideoOutcome::Retried { reason, delay: FIRST_DELAY * 4_i32.pow(retries.min(8)) }
        }
        Err(AttemptError::Temporary(reason) | AttemptError::Hopeless(reason)) => {
            VideoOutcome::GivenUp { reason }
        }
    }
}
