use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use migrator::ResetRequest;
use migrator::backup::{self, BackupListing, Manifest, RestoreReport, RestoreRequest, TakeRequest};
use serde_json::json;

use super::REFUSED;
use super::apply::up_text;
use super::context::{AccessMode, Context};
use super::output::{self, Output, count, size};
use crate::cli::CliError;
use crate::config::Environment;

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Verb {
    /// Back up documents, indexes and validators, with a checksum of each file
    #[command(after_help = "Examples:
  field-notes migrate backup
  field-notes migrate backup --only stories,pages --why \"before the import\"
  field-notes migrate backup --dir /mnt/backups")]
    Backup(BackUp),
    /// List backups, the latest first
    #[command(after_help = "Examples:
  field-notes migrate backups
  field-notes migrate backups --verify --json

With --verify every file is read and compared with its checksum; the exit code is 6 if one differs.")]
    Backups(Backups),
    /// Put a backup back; its checksums are looked at before anything is written
    #[command(after_help = "Examples:
  field-notes migrate restore 20261121T080000Z
  field-notes migrate restore 20261121T080000Z --into-scratch
  field-notes migrate restore 20261121T080000Z --only stories --replace --yes

Without --replace, collections that have documents are left alone, and so is everything else then.")]
    Restore(Restore),
    /// Take every migration back and apply all of them anew; never in production
    #[command(after_help = "Examples:
  field-notes migrate reset --i-mean ghostmonk
  field-notes migrate reset --i-mean field-notes.db --drop

A backup is taken first. What people have made stays, unless --drop says that it goes, too.")]
    Reset(ResetOf),
}

/// Where backups are.
#[derive(Debug, Clone, Args)]
struct Folder {
    /// Folder of backups, in place of the configured one
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Folder {
    fn of(&self, context: &Context) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| context.config.backup_dir.clone())
    }
}

#[derive(Debug, Clone, Args)]
pub(super) struct BackUp {
    /// These collections alone
    #[arg(long, value_name = "COLLECTION", value_delimiter = ',')]
    only: Option<Vec<String>>,
    /// Why, for those who come after
    #[arg(long, default_value = "asked for by hand")]
    why: String,
    #[command(flatten)]
    folder: Folder,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Backups {
    /// Read every file and look at its checksum
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    folder: Folder,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Restore {
    /// Which; the beginning of its id is enough
    id: String,
    /// Put it in the place of what is there
    #[arg(long, conflicts_with = "into_scratch")]
    replace: bool,
    /// Put it into a database of its own, say what is in it, and remove that again
    #[arg(long)]
    into_scratch: bool,
    /// These collections alone
    #[arg(long, value_name = "COLLECTION", value_delimiter = ',')]
    only: Option<Vec<String>>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    folder: Folder,
}

#[derive(Debug, Clone, Args)]
pub(super) struct ResetOf {
    /// The name of the database, so that it is no other
    #[arg(long, value_name = "DATABASE")]
    i_mean: String,
    /// Drop everything, what people have made included
    #[arg(long)]
    drop: bool,
    /// Take no backup first
    #[arg(long)]
    no_backup: bool,
    #[command(flatten)]
    folder: Folder,
}

impl From<backup::BackupError> for CliError {
    fn from(error: backup::BackupError) -> Self {
        Self { message: error.to_string(), code: error.exit_code() }
    }
}

impl Verb {
    pub(super) fn access(&self) -> AccessMode {
        match self {
            Self::Backup(_) | Self::Backups(_) => AccessMode::Read,
            Self::Restore(_) | Self::Reset(_) => AccessMode::Create,
        }
    }

    pub(super) async fn run(self, context: &Context) -> Result<Output, CliError> {
        match self {
            Self::Backup(wanted) => back_up(context, wanted).await,
            Self::Backups(wanted) => backups(context, &wanted).await,
            Self::Restore(wanted) => restore(context, wanted).await,
            Self::Reset(wanted) => reset(context, wanted).await,
        }
    }
}

async fn back_up(context: &Context, BackUp { only, why, folder }: BackUp) -> Result<Output, CliError> {
    if context.is_missing() {
        return Err(CliError {
            message: "there is no store yet, so there is nothing to back up".to_owned(),
            code: 2,
        });
    }
    let request = TakeRequest {
        collections: only,
        why,
        run_id: None,
        migration: None,
        app_version: env!("CARGO_PKG_VERSION").to_owned(),
        now: bson::DateTime::now(),
        cap_bytes: None,
    };
    let dir = folder.of(context);
    let manifest = backup::take(&context.database, &dir, &request).await?;
    let mut text = format!("backup {} in {}\n", manifest.id, dir.display());
    manifest_text(&mut text, &manifest);
    let _ = writeln!(text, "  `field-notes migrate restore {}` puts it back", manifest.id);
    Ok(Output::new(&manifest, text))
}

fn manifest_text(text: &mut String, manifest: &Manifest) {
    for kept in &manifest.collections {
        let _ = writeln!(text, "    {}: {}, {}", kept.name, documents(kept.documents), size(kept.bytes));
    }
}

fn documents(n: u64) -> String {
    count(usize::try_from(n).unwrap_or(usize::MAX), "document")
}

async fn backups(context: &Context, Backups { verify, folder }: &Backups) -> Result<Output, CliError> {
    let dir = folder.of(context);
    let mut listing = backup::list(&dir)?;
    let mut damaged = Vec::new();
    if *verify {
        for manifest in &listing.backups {
            if let Err(error) = backup::verify(&dir, &manifest.id).await {
                damaged.push((manifest.id.clone(), error));
            }
        }
    }
    for (id, _) in &damaged {
        listing.backups.retain(|manifest| manifest.id != *id);
    }
    let BackupListing { backups, broken, .. } = &listing;
    let mut text = String::new();
    for manifest in backups {
        let names: Vec<_> = manifest.collections.iter().map(|kept| kept.name.as_str()).collect();
        let migration = manifest.migration.as_deref().map(|id| format!(" {id}:")).unwrap_or_default();
        let _ = writeln!(
            text,
            "{}  {}, {};{migration} {}\n    {}",
            manifest.id,
            documents(manifest.documents),
            size(manifest.bytes),
            manifest.why,
            names.join(", ")
        );
    }
    let mut bad: Vec<(String, String)> =
        broken.iter().map(|one| (one.id.clone(), one.error.clone())).collect();
    bad.extend(damaged.into_iter().map(|(id, error)| (id, error.to_string())));
    for (id, error) in &bad {
        let _ = writeln!(text, "{id}  cannot be used: {}", error.lines().next().unwrap_or_default());
    }
    if text.is_empty() {
        let _ = writeln!(text, "no backups in {}", dir.display());
    }
    let broken: Vec<_> = bad.iter().map(|(id, error)| json!({ "id": id, "error": error })).collect();
    let code = if *verify && !broken.is_empty() { 6 } else { 0 };
    Ok(Output::new(&json!({ "backups": backups, "broken": broken }), text).with_code(code))
}

async fn restore(context: &Context, wanted: Restore) -> Result<Output, CliError> {
    let Restore { id, replace, into_scratch, only, yes, folder } = wanted;
    let dir = folder.of(context);
    let id = backup::resolve(&dir, &id)?;
    if into_scratch {
        let scratch = context.database.scratch("restore").await.map_err(|error| CliError::failed(&error))?;
        let request = RestoreRequest { replace: false, only };
        let restored = backup::restore(scratch.database(), &dir, &id, &request).await;
        scratch.discard().await.map_err(|error| CliError::failed(&error))?;
        let restored = restored?;
        let text = restored_text(&restored) + "it was put into a database of its own, which is gone again\n";
        return Ok(Output::new(&restored, text));
    }
    if replace && !yes && !confirmed(context, &id) {
        let message = format!(
            "this puts the backup {id} in the place of what is there; nothing was changed\n  add --yes to do it all the same, \
             as in `field-notes migrate restore {id} --replace --yes`"
        );
        return Err(CliError { message, code: REFUSED });
    }
    let restored = context.migrator.restore(&dir, &id, &RestoreRequest { replace, only }).await?;
    Ok(Output::new(&restored, restored_text(&restored)))
}

fn confirmed(context: &Context, id: &str) -> bool {
    context.is_interactive() && {
        output::say(&format!(
            "the backup {id} is put in the place of what is in {}\n",
            context.database.location()
        ));
        output::confirm()
    }
}

fn restored_text(restored: &RestoreReport) -> String {
    let mut text = format!("restored {}\n", restored.backup);
    for one in &restored.collections {
        let _ = write!(text, "    {}: {}", one.name, documents(one.documents));
        if one.replaced > 0 {
            let _ = write!(text, " in the place of {}", one.replaced);
        }
        text.push('\n');
    }
    if !restored.applied_since.is_empty() {
        let _ = writeln!(
            text,
            "    gone with it: what {} did to the same collections",
            restored.applied_since.join(", ")
        );
    }
    for name in &restored.dropped {
        let _ = writeln!(text, "    {name}: was not there then, so it went");
    }
    text
}

async fn reset(
    context: &Context,
    ResetOf { i_mean, drop, no_backup, folder }: ResetOf,
) -> Result<Output, CliError> {
    let request = ResetRequest {
        confirm: i_mean,
        production: context.config.environment == Environment::Production,
        drop,
        backup: (!no_backup).then(|| folder.of(context)),
    };
    let done = context.migrator.reset(&request).await?;
    let mut text = String::new();
    if let Some(manifest) = &done.backup {
        let _ = writeln!(text, "backup {} was taken first", manifest.id);
    }
    if !done.dropped.is_empty() {
        let _ = writeln!(text, "dropped {}", done.dropped.join(", "));
    }
    for one in &done.rolled_back {
        let _ = writeln!(text, "took back {}", one.id);
    }
    text.push_str(&up_text(&done.report));
    Ok(Output::new(&done, text))
}
