use clap::Args;
use migrator::backup::{self, RestoreReport, RestoreRequest};
use serde::Serialize;

use super::backup::BackupFolder;
use crate::repository;

use super::{AccessMode, CliError, Context, Lines, Output, Run, count};

/// Restore a backup after verifying its checksums
///
/// Examples:
///   field-notes migrate restore 20261121T080000Z
///   field-notes migrate restore 20261121T080000Z --into-scratch
///   field-notes migrate restore 20261121T080000Z --only stories --replace --yes
///
/// Without --replace, nothing is restored if one of the collections has documents; with it, nothing is while a server is
/// running on the store. Declared indexes that the backup does not have are created.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag")]
pub(super) struct RestoreArgs {
    /// Backup (id or unique prefix)
    id: String,
    /// Replace existing documents
    #[arg(long, conflicts_with = "into_scratch")]
    replace: bool,
    /// Restore into a temporary database, print its content, and remove it
    #[arg(long)]
    into_scratch: bool,
    /// Restore only these collections
    #[arg(long, value_name = "COLLECTION", value_delimiter = ',')]
    only: Option<Vec<String>>,
    /// Replace them even while a server is running on this store
    #[arg(long, requires = "replace")]
    force: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    folder: BackupFolder,
}

impl Run for RestoreArgs {
    const ACCESS: AccessMode = AccessMode::Create;

    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let Self { id, replace, into_scratch, only, force, yes, folder } = self;
        let options: String =
            [("--only", only.as_ref().map(|names| names.join(","))), ("--dir", folder.given())]
                .into_iter()
                .filter_map(|(option, value)| value.map(|value| format!(" {option} {value}")))
                .chain(force.then(|| " --force".to_owned()))
                .collect();
        let dir = folder.path(context);
        let id = backup::resolve(&dir, &id)?;
        let request = RestoreRequest { replace, only };
        if into_scratch {
            let scratch = context.database.scratch("restore").await.map_err(CliError::failed)?;
            let restored = backup::restore(scratch.database(), &dir, &id, &request).await;
            scratch.discard().await.map_err(CliError::failed)?;
            let restored = restored?;
            let text = restored_text(&restored) + "restored into a temporary database, which is removed\n";
            return Ok(Output::new(&restored, text));
        }
        if replace && !force {
            context.refuse_running_servers().await?;
        }
        let warning = || format!("backup {id} replaces the content of {}\n", context.database.location());
        if replace && !yes && !context.confirm(&warning())? {
            let command = ["field-notes", "migrate", "restore", &id, "--replace"].join(" ") + &options;
            return Err(CliError::refused(format!(
                "this replaces existing data with backup {id}; nothing was changed\n  add --yes to confirm, \
                 as in `{command} --yes`"
            )));
        }
        let restored = context.migrator.restore(&dir, &id, &request).await?;
        // They may be newer than the backup, or older than what it holds.
        repository::forget_counts(&context.database).await.map_err(CliError::failed)?;
        let (indexes_created, remains) = match ensure_indexes(context).await {
            Ok(created) => (created, None),
            Err(remains) => (0, Some(remains)),
        };
        let mut text = restored_text(&restored);
        if indexes_created > 0 {
            text.push_line(format!("created the declared indexes that were missing: {indexes_created}"));
        }
        text.push_lines(&remains);
        Ok(Output::new(&RestoreOutcome { report: restored, indexes_created, remains }, text))
    }
}

/// The report of a restore, and of the declared indexes afterwards.
#[derive(Serialize)]
struct RestoreOutcome {
    #[serde(flatten)]
    report: RestoreReport,
    indexes_created: usize,
    /// The work that remains for the next start, or the reason why it would fail.
    remains: Option<String>,
}

/// Creates the declared indexes that the backup does not have, or returns what remains to be done. As at a start, they come
/// after the migrations, because a unique one may need a cleanup first.
async fn ensure_indexes(context: &Context) -> Result<usize, String> {
    match context.migrator.verify().await {
        Err(migrator::Error::Pending(pending)) => Err(format!(
            "pending: {}; the next start applies them and creates the declared indexes",
            pending.join(", ")
        )),
        Err(error) => Err(format!("the declared indexes were not created, because {error}")),
        Ok(()) => repository::ensure_all(&context.database).await.map_err(|error| {
            format!("the next start would fail: {error}\n  `field-notes doctor` examines it again")
        }),
    }
}

fn restored_text(restored: &RestoreReport) -> String {
    let mut text = format!("restored {}\n", restored.backup);
    for one in &restored.collections {
        let replaced = if one.replaced > 0 { format!(", replacing {}", one.replaced) } else { String::new() };
        text.push_line(format!("    {}: {}{replaced}", one.name, count(one.documents, "document")));
    }
    text.push_list("    reverted in the same collections: changes of", &restored.applied_since);
    text.push_lines(
        restored
            .dropped
            .iter()
            .map(|name| format!("    {name}: dropped, because it did not exist when the backup was taken")),
    );
    text
}
