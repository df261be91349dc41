use super::{Difference, extend, fix};

pub(crate) const JOBS: &[Difference] = &[
    fix(
        "video-job-writes",
        "Writes of video jobs need an author, an administrator or the token in `VIDEO_WORKER_TOKEN`; creating and changing them was open to everyone.",
        "writes_of_jobs_need_an_author_or_the_token_of_the_worker",
    ),
    fix(
        "video-job-by-file",
        "`PATCH /video-processing/jobs/by-file` is reachable and changes the newest job of a file. Unknown members are 422; it would have stored any.",
        "jobs_are_changed_by_their_file",
    ),
    fix(
        "video-job-formats",
        "`processed_formats` holds names or objects, as the cloud function stores them, and a job without `metadata` is read; both were 500.",
        "jobs_of_the_cloud_function_are_read",
    ),
    fix(
        "video-job-thumbnail",
        "A thumbnail that a job does not have cannot be chosen: 404.",
        "thumbnails_that_do_not_exist_cannot_be_chosen",
    ),
    extend(
        "video-job-status",
        "`status` of a job is one of pending, started, processing, completed and failed; it was any text. `PATCH` takes `metadata`, too.",
        "invalid_fields_of_jobs_are_422",
    ),
];
