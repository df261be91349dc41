//! `seed demo`: sample content for development.

/// The sample content.
mod demo;

use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use docstore::{Database, Lease, LeaseRequest};
use uuid::Uuid;

use super::context::{AccessMode, Context};
use super::output::{CliError, LOCKED, Output};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Config, Environment};
use crate::domain::{Caller, Precondition, Role, slugify};
use crate::repository::{self, CONTENT_LOCK, NewUser, Users};
use crate::service::{Error, Services};
use crate::startup;

/// The term of the lock, far longer than adding the sample content takes.
const LOCK_TERM: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Verb {
    /// Add sample stories, projects and pages; existing content stays
    ///
    /// Examples:
    ///   field-notes seed demo
    ///   field-notes seed demo --yes     also in production
    ///
    /// Requires applied migrations. A second run adds only what is missing; two at the same time are refused (exit code 5).
    #[command(verbatim_doc_comment)]
    Demo {
        /// Also run in production
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(Verb::Demo { yes }: Verb, config: Config) -> Result<Output, CliError> {
    if config.environment == Environment::Production && !yes {
        return Err(CliError::refused(
            "sample content does not belong in production; nothing was changed\n  \
             to add it anyway, run `field-notes seed demo --yes`",
        ));
    }
    Context::with(config, AccessMode::Write, false, async |Context { database, migrator, config, .. }| {
        migrator.verify().await?;
        // Unique indexes keep slugs apart.
        repository::ensure_all(database).await.map_err(CliError::failed)?;
        let services = startup::services(config, database, Arc::new(SystemClock));
        let admin = NewUser {
            name: config.admin_email.split('@').next().unwrap_or_default().to_owned(),
            email: config.admin_email.clone(),
            avatar_url: None,
            role: Role::Admin,
            account: None,
        };
        let admin = Users::new(database).sign_in(admin, SystemClock.now()).await.map_err(CliError::failed)?;
        let lease = lock(database).await?;
        let added = seed(&services, &Caller { id: admin.id, role: Role::Admin }).await;
        if let Err(error) = lease.release().await {
            tracing::warn!(%error, "failed to release the lock of the sample content; it expires by itself");
        }
        let added = added?;
        let count = |is_added: bool| added.iter().filter(|added| **added == is_added).count();
        Ok(Output::text(format!("added {}, kept {} existing\n", count(true), count(false))))
    })
    .await
}

/// Acquires the lock of the sample content: two processes that look for missing items at the same time would each add them.
async fn lock(database: &Database) -> Result<Lease, CliError> {
    let request = LeaseRequest {
        collection: CONTENT_LOCK.to_owned(),
        name: "sample content".to_owned(),
        owner: Uuid::new_v4().to_string(),
        ttl: LOCK_TERM,
    };
    database.acquire_lease(request).await?.map_err(|holder| {
        let message = format!(
            "another process is adding sample content; nothing was changed\n  run it again when it has ended, at the latest in \
             {} s",
            holder.remaining.as_secs() + 1
        );
        CliError::new(message, LOCKED)
    })
}

/// Adds the items that are missing. Returns for each item whether it was added.
async fn seed(services: &Services, admin: &Caller) -> Result<Vec<bool>, CliError> {
    let Services { stories, projects, pages, .. } = services;
    let mut added = Vec::new();
    for story in demo::stories() {
        let found = stories.content.by_slug(Some(admin), &slugify(&story.fields.title)).await;
        added.push(add_if_missing(found, stories.create(admin, story, None)).await?);
    }
    for project in demo::projects() {
        let found = projects.content.by_slug(Some(admin), &slugify(&project.fields.title)).await;
        added.push(add_if_missing(found, projects.create(admin, project, None)).await?);
    }
    for (page_type, page) in demo::pages() {
        let found = pages.by_type(Some(admin), page_type).await;
        added.push(add_if_missing(found, pages.put(admin, page_type, page, &Precondition::default())).await?);
    }
    Ok(added)
}

async fn add_if_missing<T, U>(
    found: Result<T, Error>,
    add: impl Future<Output = Result<U, Error>>,
) -> Result<bool, Error> {
    match found {
        Ok(_) => Ok(false),
        Err(Error::NotFound(_)) => add.await.map(|_| true),
        Err(error) => Err(error),
    }
}
