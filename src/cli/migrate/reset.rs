use clap::Args;
use migrator::ResetRequest;

use super::backup::BackupFolder;
use super::up::report_text;
use super::{AccessMode, CliError, Context, Lines, Output, Run};
use crate::config::Environment;

/// Roll back all migrations and apply them again; refused in production
///
/// Examples:
///   field-notes migrate reset --confirm ghostmonk
///   field-notes migrate reset --confirm field-notes.db --drop
///
/// Takes a backup first. Content stays unless --drop is given, which is refused while a server is running on the store.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct ResetArgs {
    /// Name of the database, to confirm that it is the right one
    #[arg(long, alias = "i-mean", value_name = "DATABASE")]
    confirm: String,
    /// Drop all collections, content included
    #[arg(long)]
    drop: bool,
    /// Drop them even while a server is running on this store
    #[arg(long, requires = "drop")]
    force: bool,
    /// Take no backup
    #[arg(long)]
    no_backup: bool,
    #[command(flatten)]
    folder: BackupFolder,
}

impl Run for ResetArgs {
    const ACCESS: AccessMode = AccessMode::Create;

    async fn run(self, context: &Context) -> Result<Output, CliError> {
        if self.drop && !self.force {
            context.refuse_running_servers().await?;
        }
        let request = ResetRequest {
            confirm: self.confirm,
            production: context.config.environment == Environment::Production,
            drop: self.drop,
            backup: (!self.no_backup).then(|| self.folder.path(context)),
        };
        let done = context.migrator.reset(&request).await?;
        let mut text = String::new();
        text.push_lines(done.backup.iter().map(|manifest| format!("backup {} taken first", manifest.id)));
        text.push_list("dropped", &done.dropped);
        text.push_lines(done.rolled_back.iter().map(|one| format!("rolled back {}", one.id)));
        text.push_str(&report_text(&done.report));
        Ok(Output::new(&done, text))
    }
}
