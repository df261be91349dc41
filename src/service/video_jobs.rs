use std::sync::Arc;

use tokio::sync::Notify;
use uuid::Uuid;

use super::Error;
use crate::clock::Clock;
use crate::domain::{Media, VideoJob, VideoJobDraft, VideoJobPatch, VideoJobStatus};
use crate::repository::{self, Repository};

/// The maximum number of jobs in a list.
const MAX_LISTED: u64 = 50;

/// The use cases of the processing of videos. Who may call them is decided by the policies of the routes. Cheap to clone.
#[derive(Clone)]
pub struct VideoJobs {
    pub(super) jobs: repository::VideoJobs,
    /// The library, which the worker completes.
    pub(super) media: Repository<Media>,
    pub(super) clock: Arc<dyn Clock>,
    /// Wakes the worker of this process.
    pub(super) wake: Arc<Notify>,
}

impl VideoJobs {
    /// Stores jobs in `jobs`, and what they find out and make in `media`.
    pub fn new(jobs: repository::VideoJobs, media: Repository<Media>, clock: Arc<dyn Clock>) -> Self {
        Self { jobs, media, clock, wake: Arc::default() }
    }

    /// Creates a job that another program works on.
    pub async fn create(&self, draft: VideoJobDraft) -> Result<VideoJob, Error> {
        self.insert(draft, VideoJobStatus::Started).await
    }

    /// Creates a job for an uploaded video, and wakes the worker. A file that has a job already gets no other.
    pub async fn enqueue(&self, draft: VideoJobDraft) -> Result<VideoJob, Error> {
        if let Some(job) = self.jobs.find_by_file(&draft.original_file).await? {
            return Ok(job);
        }
        let job = self.insert(draft, VideoJobStatus::Pending).await?;
        self.wake.notify_one();
        Ok(job)
    }

    async fn insert(&self, draft: VideoJobDraft, status: VideoJobStatus) -> Result<VideoJob, Error> {
        Ok(self.jobs.insert(Uuid::new_v4().to_string(), draft, status, self.clock.now()).await?)
    }

    /// Returns a job.
    pub async fn by_id(&self, job_id: &str) -> Result<VideoJob, Error> {
        self.jobs.find(job_id).await?.ok_or(Error::NotFound("Job"))
    }

    /// Lists jobs, newest first.
    pub async fn list(&self, status: Option<VideoJobStatus>) -> Result<Vec<VideoJob>, Error> {
        Ok(self.jobs.list(status, MAX_LISTED).await?)
    }

    /// Changes a job.
    pub async fn update(&self, job_id: &str, patch: VideoJobPatch) -> Result<(), Error> {
        if let Some(selected) = patch.selected_thumbnail_id.as_deref().filter(|id| !id.is_empty()) {
            let has =
                |options: &[crate::domain::Thumbnail]| options.iter().any(|option| option.id == *selected);
            let exists = match &patch.thumbnail_options {
                Some(options) => has(options),
                None => has(&self.by_id(job_id).await?.thumbnail_options),
            };
            if !exists {
                return Err(Error::NotFound("Thumbnail"));
            }
        }
        let is_pending = patch.status == Some(VideoJobStatus::Pending);
        if !self.jobs.update(job_id, patch, self.clock.now()).await? {
            return Err(Error::NotFound("Job"));
        }
        if is_pending {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Changes the newest job of a file.
    pub async fn update_by_file(&self, original_file: &str, patch: VideoJobPatch) -> Result<(), Error> {
        let job = self.jobs.find_by_file(original_file).await?.ok_or(Error::NotFound("Job"))?;
        self.update(&job.job_id, patch).await
    }

    /// Chooses one of the thumbnails of a job.
    pub async fn select_thumbnail(&self, job_id: &str, thumbnail_id: &str) -> Result<(), Error> {
        if self.jobs.select_thumbnail(job_id, thumbnail_id, self.clock.now()).await? {
            return Ok(());
        }
        self.by_id(job_id).await?;
        Err(Error::NotFound("Thumbnail"))
    }

    /// Deletes a job. Its files stay.
    pub async fn delete(&self, job_id: &str) -> Result<(), Error> {
        if self.jobs.delete(job_id).await? { Ok(()) } else { Err(Error::NotFound("Job")) }
    }
}
