use std::path::PathBuf;

use clap::Args;
use migrator::backup::{self, TakeRequest};
use migrator::{DownPlan, Undo, nearest};

use super::{CliError, Context, Lines, Output, Run, count, size};

/// Back up documents, indexes and validators, with a checksum per file
///
/// Examples:
///   field-notes migrate backup
///   field-notes migrate backup --only stories,pages --reason "before the import"
///   field-notes migrate backup --dir /mnt/backups
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct BackupArgs {
    /// Back up only these collections
    #[arg(long, value_name = "COLLECTION", value_delimiter = ',')]
    only: Option<Vec<String>>,
    /// Reason, kept in the backup
    #[arg(long, alias = "why", value_name = "TEXT", default_value = "requested by hand")]
    reason: String,
    #[command(flatten)]
    folder: BackupFolder,
}

#[derive(Debug, Clone, Args)]
pub(super) struct BackupFolder {
    /// Backup folder, in place of the configured one
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl BackupFolder {
    /// Returns the folder that the command line names.
    pub(super) fn given(&self) -> Option<String> {
        self.dir.as_ref().map(|dir| dir.display().to_string())
    }

    pub(super) fn path(self, context: &Context) -> PathBuf {
        self.dir.unwrap_or_else(|| context.config.backup_dir.clone())
    }
}

/// Returns a request for a backup of these collections, or of all.
fn request(collections: Option<Vec<String>>, reason: String) -> TakeRequest {
    TakeRequest {
        collections,
        why: reason,
        run_id: None,
        migration: None,
        app_version: env!("CARGO_PKG_VERSION").to_owned(),
        now: bson::DateTime::now(),
        cap_bytes: None,
    }
}

/// Backs everything up before rollbacks that lose data, or that run code, which does not say what it loses. Returns the id of
/// the backup; `None` if nothing is lost.
pub(super) async fn before_losses(
    context: &Context,
    plans: &[DownPlan],
    no_backup: bool,
) -> Result<Option<String>, CliError> {
    let loses = |plan: &&DownPlan| !plan.losses.is_empty() || plan.undo == Undo::Code;
    let losing: Vec<_> = plans.iter().filter(loses).map(|plan| &*plan.id).collect();
    if losing.is_empty() || no_backup {
        return Ok(None);
    }
    let request = request(None, format!("before the rollback of {}, which can lose data", losing.join(", ")));
    let manifest = backup::take(&context.database, &context.config.backup_dir, &request).await?;
    Ok(Some(manifest.id))
}

impl Run for BackupArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        if context.store_is_missing() {
            return Err(CliError::usage("the store does not exist yet, so there is nothing to back up"));
        }
        if let Some(only) = &self.only {
            let known = context.database.collection_names().await?;
            if let Some(name) = only.iter().find(|name| !known.contains(name)) {
                let meant = nearest(name, known.iter().map(String::as_str));
                let meant = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
                let known = known.join(", ");
                return Err(CliError::usage(format!(
                    "there is no collection {name:?}; there are: {known}{meant}"
                )));
            }
        }
        let request = request(self.only, self.reason);
        let dir = self.folder.path(context);
        let manifest = backup::take(&context.database, &dir, &request).await?;
        let mut text = format!("backup {} in {}\n", manifest.id, dir.display());
        text.push_lines(manifest.collections.iter().map(|kept| {
            format!("    {}: {}, {}", kept.name, count(kept.documents, "document"), size(kept.bytes))
        }));
        text.push_line(format!("  to restore it, run `field-notes migrate restore {}`", manifest.id));
        Ok(Output::new(&manifest, text))
    }
}
