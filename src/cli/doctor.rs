use clap::{Args, ValueEnum};
use docstore::Database;

use super::context::{AccessMode, Context};
use super::output::{CliError, DRIFT, Lines, Output, count};
use crate::config::Config;
use crate::media::video::Ffmpeg;
use crate::repository::contents::{self, StoredContent};
use crate::repository::duplicates::{self, SlugChange};
use crate::repository::orphans::{self, Orphan};
use crate::service::{self, Unsanitized};
use crate::startup;

/// Find what would stop a start, and repair data
///
/// Examples:
///   field-notes doctor
///   field-notes doctor --fix duplicate-slugs
///   field-notes doctor --fix duplicate-slugs --yes
///   field-notes doctor --fix orphans --yes
///   field-notes doctor --fix content --yes
///
/// Exits with 6 if a start would fail. A repair prints what it would change; with --yes it changes it.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct DoctorArgs {
    /// Repair this
    #[arg(long, value_name = "FAULT")]
    fix: Option<Fault>,
    /// Change the data
    #[arg(long, requires = "fix")]
    yes: bool,
}

/// The number of orphans that an examination shows.
const MAX_SHOWN: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Fault {
    /// Give documents whose slug an older one has the next suffix
    DuplicateSlugs,
    /// Take items out of sections that do not exist
    Orphans,
    /// Sanitize HTML that another program stored
    Content,
}

pub(super) async fn run(arguments: DoctorArgs, config: Config) -> Result<Output, CliError> {
    let DoctorArgs { fix, yes } = arguments;
    let access = if yes { AccessMode::Write } else { AccessMode::Read };
    Context::with(config, access, false, async |context| {
        if context.store_is_missing() {
            return Ok(Output::text("the store does not exist yet: nothing to examine\n"));
        }
        match fix {
            Some(Fault::DuplicateSlugs) => fix_slugs(&context.database, yes).await,
            Some(Fault::Orphans) => fix_orphans(&context.database, yes).await,
            Some(Fault::Content) => fix_content(&context.database, yes).await,
            None => examine(context).await,
        }
    })
    .await
}

async fn examine(context: &Context) -> Result<Output, CliError> {
    let Context { config, database, migrator, .. } = context;
    let failures = startup::expected_failures(config, database, migrator).await?;
    let mut text = String::new();
    text.push_lines(failures.iter().map(|failure| format!("✗ {failure}")));
    text.push_lines(similar_users(database).await?.iter().map(|user| format!("! {user}")));
    let orphans = orphans::find(database).await?;
    text.push_lines(orphans.iter().take(MAX_SHOWN).map(|orphan| format!("! {}", describe(orphan))));
    if orphans.len() > MAX_SHOWN {
        text.push_line(format!("! and {} more", count(orphans.len() - MAX_SHOWN, "orphan")));
    }
    if !orphans.is_empty() {
        text.push_line("  `field-notes doctor --fix orphans` takes them out of these sections".to_owned());
    }
    let unsanitized = find_unsanitized(database).await?;
    text.push_lines(unsanitized.iter().take(MAX_SHOWN).map(|item| format!("! {}", item.describe())));
    if unsanitized.len() > MAX_SHOWN {
        text.push_line(format!("! and {} more", count(unsanitized.len() - MAX_SHOWN, "unsanitized item")));
    }
    if !unsanitized.is_empty() {
        text.push_line("  `field-notes doctor --fix content` sanitizes it".to_owned());
    }
    if config.ffmpeg.enabled
        && let Err(missing) = Ffmpeg::find(&config.ffmpeg)
    {
        text.push_line(format!("! uploaded videos get no poster, thumbnails and smaller form: {missing}"));
        text.push_line(
            "  install ffmpeg, or set VIDEO_PROCESSING=off if another program makes them".to_owned(),
        );
    }
    let code = if failures.is_empty() { 0 } else { DRIFT };
    text.push_line(match failures.len() {
        0 => "nothing would stop a start".to_owned(),
        n => format!("{} would stop a start; nothing was changed", count(n, "fault")),
    });
    Ok(Output::text(text).with_code(code))
}

/// Describes users whose addresses differ in case alone. They are not merged: only an operator knows which one is right.
pub(super) async fn similar_users(database: &Database) -> Result<Vec<String>, CliError> {
    let groups = duplicates::find_users(database).await?;
    Ok(groups.iter().map(|group| format!("users have the same address but for case: {group}")).collect())
}

async fn fix_slugs(database: &Database, yes: bool) -> Result<Output, CliError> {
    let changes = duplicates::plan_slugs(database).await?;
    if changes.is_empty() {
        return Ok(Output::text("no two documents have the same slug\n"));
    }
    let mut text = String::new();
    let mut written = 0;
    for change in &changes {
        let SlugChange { collection, document, slug, .. } = change;
        let mut line = format!("{collection} {} {:?}: {slug}", document.id, document.title);
        if yes && duplicates::assign_slug(database, change).await? {
            written += 1;
        } else if yes {
            line.push_str(": not changed, since the document was changed meanwhile");
        }
        text.push_line(line);
    }
    text.push_line(summary(yes.then_some(written), changes.len(), "slug"));
    Ok(Output::text(text))
}

/// Returns the last line of a repair: the number of changes, or of those that --yes would make.
fn summary(written: Option<usize>, planned: usize, noun: &str) -> String {
    if let Some(written) = written {
        return format!("changed {}", count(written, noun));
    }
    let planned = count(planned, noun);
    format!("would change {planned}; nothing was changed\n  add --yes to change them")
}

fn describe(orphan: &Orphan) -> String {
    let Orphan { collection, document, field, .. } = orphan;
    format!(
        "{collection} {} {:?}: {field} names no section: {}",
        document.id,
        document.title,
        orphan.section()
    )
}

async fn fix_orphans(database: &Database, yes: bool) -> Result<Output, CliError> {
    let orphans = orphans::find(database).await?;
    if orphans.is_empty() {
        return Ok(Output::text("every section that an item names exists\n"));
    }
    let mut text = String::new();
    let mut written = 0;
    for orphan in &orphans {
        let mut line = describe(orphan);
        if yes && orphans::release(database, orphan).await.map_err(service::Error::from)? {
            written += 1;
        } else if yes {
            line.push_str(": not changed, since it was changed at the same time");
        }
        text.push_line(line);
    }
    text.push_line(summary(yes.then_some(written), orphans.len(), "item"));
    Ok(Output::text(text))
}

/// An item whose HTML was never sanitized.
struct UnsanitizedItem {
    stored: StoredContent,
    content: Unsanitized,
}

impl UnsanitizedItem {
    fn describe(&self) -> String {
        let Self { stored: StoredContent { collection, document, .. }, content } = self;
        let fault = match content.html {
            Some(_) if content.removed.is_empty() => "content was not sanitized".to_owned(),
            Some(_) => format!("content was not sanitized: {}", content.removed),
            None => "content is too long to be sanitized: shorten it".to_owned(),
        };
        format!("{collection} {} {:?}: {fault}", document.id, document.title)
    }
}

async fn find_unsanitized(database: &Database) -> Result<Vec<UnsanitizedItem>, CliError> {
    let mut found = Vec::new();
    let visit = |stored: StoredContent| {
        if let Some(content) = Unsanitized::check(&stored.html) {
            found.push(UnsanitizedItem { stored, content });
        }
    };
    contents::visit_all(database, visit).await?;
    Ok(found)
}

async fn fix_content(database: &Database, yes: bool) -> Result<Output, CliError> {
    let unsanitized = find_unsanitized(database).await?;
    if unsanitized.is_empty() {
        return Ok(Output::text("the content of every item is sanitized\n"));
    }
    let mut text = String::new();
    let (mut planned, mut written) = (0, 0);
    for item in &unsanitized {
        let mut line = item.describe();
        if let Some(html) = &item.content.html {
            planned += 1;
            if yes && contents::replace(database, &item.stored, html).await? {
                written += 1;
            } else if yes {
                line.push_str(": not changed, since it was changed at the same time");
            }
        }
        text.push_line(line);
    }
    text.push_line(summary(yes.then_some(written), planned, "item"));
    Ok(Output::text(text))
}
