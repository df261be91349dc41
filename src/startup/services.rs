use std::sync::Arc;

use docstore::Database;

use crate::clock::Clock;
use crate::config::Config;
use crate::domain::Section;
use crate::identity::{self, Authenticator, DevelopmentTokens, Roles, Verifier, VerifierChain};
use crate::media::Storage;
use crate::repository::{self, EngagementRecords, Referrers, Repository, SectionContents, TreeLock, Users};
use crate::service::{
    ChangeTracker, Content, Engagement, Health, Library, MediaFiles, NavLinks, Pages, Projects, Sections,
    Services, Stories, Trash, Uploads, VideoJobs, VideoWorker,
};

/// Creates the worker that processes videos, in the storage of the services; `None` if another program does.
pub(super) fn video_worker(config: &Config, services: &Services) -> Option<VideoWorker> {
    let storage = services.media_files.storage().clone();
    config
        .ffmpeg
        .enabled
        .then(|| VideoWorker::new(services.video_jobs.clone(), storage, config.ffmpeg.clone()))
}

/// Creates the services over a database.
pub fn services(config: &Config, database: &Database, clock: Arc<dyn Clock>) -> Services {
    // Responses are cached, so a write must be counted even if its request is canceled.
    let database = &database.completing_writes();
    let mut authors = config.author_emails.clone();
    let mut verifiers: Vec<Box<dyn Verifier>> = Vec::new();
    if config.allow_dev_auth {
        authors.push(identity::AUTHOR_EMAIL.to_owned());
        verifiers.push(Box::new(DevelopmentTokens::new(config.admin_email.clone())));
    }
    if !config.google.audiences.is_empty() {
        verifiers.push(identity::google(config.google.clone(), &clock));
    }
    let verifier = Arc::new(VerifierChain(verifiers));
    let roles = Roles::new(&config.admin_email, &authors);
    let authorship = config.authorship;
    let items = Repository::<Section>::new(database);
    let (contents, lock) = (SectionContents::new(database), TreeLock::new(database));
    let sections = Sections::new(
        items.clone(),
        contents,
        Repository::new(database),
        lock,
        authorship,
        Arc::clone(&clock),
    );
    let change_tracker = ChangeTracker::new(database);
    let pages = Pages::new(Repository::new(database), items.clone(), authorship, Arc::clone(&clock));
    let projects = Projects::new(Repository::new(database), items.clone(), authorship, Arc::clone(&clock));
    let stories = Stories::new(Repository::new(database), items, authorship, Arc::clone(&clock));
    let storage = Storage::open(&config.media).expect("the configuration has been checked");
    let media = Repository::new(database);
    let video_jobs = VideoJobs::new(repository::VideoJobs::new(database), media.clone(), Arc::clone(&clock));
    let uploads = Uploads::new(
        media,
        storage.clone(),
        video_jobs.clone(),
        config.max_video_bytes,
        authorship,
        Arc::clone(&clock),
    );
    let library = Library::new(
        Content::new(Repository::new(database), authorship, Arc::clone(&clock)),
        Referrers::new(database),
        change_tracker.clone(),
        repository::VideoJobs::new(database),
        storage.clone(),
    );
    let users = Users::new(database);
    let engagement = Engagement::new(
        EngagementRecords::new(database),
        users.clone(),
        config.comments.into(),
        Arc::clone(&clock),
    );
    Services {
        authorship,
        authenticator: Authenticator::new(verifier, users, roles, Arc::clone(&clock))
            .with_video_worker(config.video_worker_token.clone()),
        engagement,
        health: Health::new(change_tracker.clone()),
        change_tracker,
        video_jobs,
        media_files: MediaFiles::new(storage),
        navlinks: NavLinks::new(Repository::new(database), authorship, clock),
        trash: Trash::new(
            stories.clone(),
            projects.clone(),
            pages.clone(),
            sections.clone(),
            library.clone(),
        ),
        library,
        pages,
        projects,
        sections,
        stories,
        uploads,
    }
}
