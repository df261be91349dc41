//! `seed demo`: content to look at, for development.

/// What is sown.
mod demo;

use std::sync::Arc;

use clap::Subcommand;

use super::CliError;
use super::migrate::say;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Config, Environment};
use crate::domain::{Caller, Precondition, Role, slugify};
use crate::repository::{self, NewUser, Users};
use crate::service::{Error, Services, SlugLookup};
use crate::startup;

/// The exit code of what was refused as unsafe, as for migrations.
const REFUSED: u8 = 8;

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Verb {
    /// Add stories, projects and pages to look at; what is there already stays as it is
    #[command(after_help = "Examples:
  field-notes seed demo
  field-notes seed demo --yes     in production, too

Migrations have to be applied. It can be run again: only what is missing is added.")]
    Demo {
        /// Do it in production, too
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(Verb::Demo { yes }: Verb, config: Config) -> Result<(), CliError> {
    if config.environment == Environment::Production && !yes {
        let message = "demonstration content does not belong into production; nothing was changed\n  \
                       run `field-notes seed demo --yes` to add it all the same";
        return Err(CliError { message: message.to_owned(), code: REFUSED });
    }
    let database = startup::open_store(&config.store).await?;
    let outcome = async {
        startup::migrator(&database, startup::settings(&config, "seed"))?.verify().await?;
        let failed = |error: &dyn std::error::Error| CliError { message: error.to_string(), code: 1 };
        // Slugs are told apart by them.
        repository::ensure_all(&database).await.map_err(|error| failed(&error))?;
        let services = startup::services(&config, &database, Arc::new(SystemClock));
        let admin = NewUser {
            name: config.admin_email.split('@').next().unwrap_or_default().to_owned(),
            email: config.admin_email.clone(),
            avatar_url: None,
            role: Role::Admin,
            account: None,
        };
        let users = Users::new(&database);
        let admin = users.sign_in(admin, SystemClock.now()).await.map_err(|error| failed(&error))?;
        sow(&services, &Caller { id: admin.id, role: Role::Admin }).await
    };
    let outcome = outcome.await;
    database.close().await;
    let (added, there) = outcome?;
    say(&format!("added {added}, left {there} as they are\n"));
    Ok(())
}

/// How many were added, and how many were there.
async fn sow(services: &Services, admin: &Caller) -> Result<(usize, usize), CliError> {
    let (mut added, mut there) = (0, 0);
    let mut counted = |is_new: bool| if is_new { added += 1 } else { there += 1 };
    for story in demo::stories() {
        let is_new = is_missing(services.stories.by_slug(Some(admin), &slugify(&story.fields.title)).await)?;
        if is_new {
            services.stories.create(admin, story).await?;
        }
        counted(is_new);
    }
    for project in demo::projects() {
        let slug = slugify(&project.fields.title);
        let is_new = is_missing(services.projects.by_slug(Some(admin), &slug).await)?;
        if is_new {
            services.projects.create(admin, project).await?;
        }
        counted(is_new);
    }
    for (page_type, page) in demo::pages() {
        let is_new = match services.pages.by_type(Some(admin), page_type).await {
            Ok(_) => false,
            Err(Error::NotFound(_)) => true,
            Err(error) => return Err(error.into()),
        };
        if is_new {
            services.pages.put(admin, page_type, page, &Precondition::None).await?;
        }
        counted(is_new);
    }
    Ok((added, there))
}

fn is_missing<T>(found: Result<SlugLookup<T>, Error>) -> Result<bool, CliError> {
    match found {
        Ok(_) => Ok(false),
        Err(Error::NotFound(_)) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
