use std::fmt::Write as _;

use clap::Args;
use migrator::ResetRequest;

use super::Run;
use super::backup::BackupFolder;
use super::up::report_text;
use crate::cli::context::{AccessMode, Context};
use crate::cli::output::{CliError, Output};
use crate::config::Environment;

/// Roll back all migrations and apply them again; refused in production
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  field-notes migrate reset --confirm ghostmonk
  field-notes migrate reset --confirm field-notes.db --drop

Takes a backup first. Content stays unless --drop is given.")]
pub(super) struct ResetArgs {
    /// Name of the database, to confirm that it is the right one
    #[arg(long, alias = "i-mean", value_name = "DATABASE")]
    confirm: String,
    /// Drop all collections, content included
    #[arg(long)]
    drop: bool,
    /// Take no backup
    #[arg(long)]
    no_backup: bool,
    #[command(flatten)]
    folder: BackupFolder,
}

impl Run for ResetArgs {
    fn access(&self) -> AccessMode {
        AccessMode::Create
    }

    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let request = ResetRequest {
            confirm: self.confirm,
            production: context.config.environment == Environment::Production,
            drop: self.drop,
            backup: (!self.no_backup).then(|| self.folder.path(context)),
        };
        let done = context.migrator.reset(&request).await?;
        let mut text = String::new();
        if let Some(manifest) = &done.backup {
            _ = writeln!(text, "backup {} taken first", manifest.id);
        }
        if !done.dropped.is_empty() {
            _ = writeln!(text, "dropped {}", done.dropped.join(", "));
        }
        for one in &done.rolled_back {
            _ = writeln!(text, "rolled back {}", one.id);
        }
        text.push_str(&report_text(&done.report));
        Ok(Output::new(&done, text))
    }
}
