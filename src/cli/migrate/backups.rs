use clap::Args;
use migrator::backup::{self, Manifest};
use serde_json::json;

use super::backup::BackupFolder;
use super::{CliError, Context, DRIFT, Lines, Output, Run, count, first_line, size};

/// List backups, the latest first
///
/// Examples:
///   field-notes migrate backups
///   field-notes migrate backups --verify --json
///
/// Incomplete backups, and those with a missing or shortened file, are listed as such. With --verify, every file is
/// compared with its checksum, too; exits with 6 if a backup cannot be used.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct BackupsArgs {
    /// Verify the checksum of every file
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    folder: BackupFolder,
}

impl Run for BackupsArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let dir = self.folder.path(context);
        let listing = backup::list(&dir)?;
        let mut broken: Vec<_> = listing.broken.into_iter().map(|one| (one.id, one.error)).collect();
        let mut backups = Vec::new();
        for manifest in listing.backups {
            let damage = if self.verify { backup::verify(&dir, &manifest.id).await.err() } else { None };
            match damage {
                Some(error) => broken.push((manifest.id, error.to_string())),
                None => backups.push(manifest),
            }
        }
        let mut text = backups.iter().map(manifest_text).collect::<String>();
        text.push_lines(
            broken.iter().map(|(id, error)| format!("{id}  cannot be used: {}", first_line(error))),
        );
        if text.is_empty() {
            text.push_line(format!("no backups in {}", dir.display()));
        }
        let code = if self.verify && !broken.is_empty() { DRIFT } else { 0 };
        let broken: Vec<_> = broken.iter().map(|(id, error)| json!({ "id": id, "error": error })).collect();
        Ok(Output::new(&json!({ "backups": backups, "broken": broken }), text).with_code(code))
    }
}

fn manifest_text(manifest: &Manifest) -> String {
    let Manifest { id, why, migration, collections, documents, bytes, .. } = manifest;
    let names: Vec<_> = collections.iter().map(|kept| kept.name.as_str()).collect();
    let migration = migration.as_deref().map(|id| format!(" {id}:")).unwrap_or_default();
    let (documents, size, names) = (count(*documents, "document"), size(*bytes), names.join(", "));
    format!("{id}  {documents}, {size};{migration} {why}\n    {names}\n")
}
