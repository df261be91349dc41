use clap::Args;
use migrator::{DownRequest, DownTarget, RedoReport};
use serde_json::json;

use super::backup::before_losses;
use super::{AccessMode, CliError, Context, Lines, Output, Run, count, down, up};

/// Roll back one migration with its dependents, and apply them again
///
/// Examples:
///   field-notes migrate redo 0003 --dry-run
///   field-notes migrate redo 0004
///   field-notes migrate redo 0003 --yes
///
/// Documents that the migrations inserted are deleted, and inserted again with other ids. Takes a backup before it
/// loses edits. Asks before it loses data or rolls back dependents; without a terminal, --yes is required.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct RedoArgs {
    /// Migration (id or unique prefix)
    id: String,
    /// Print what would be rolled back and lost, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask, even if data would be lost
    #[arg(long)]
    yes: bool,
    /// Take no backup, even if data would be lost
    #[arg(long)]
    no_backup: bool,
}

impl Run for RedoArgs {
    const ACCESS: AccessMode = AccessMode::Write;

    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let Self { id, dry_run, yes, no_backup } = self;
        let target = DownTarget::One(id.clone());
        let plans = context.migrator.plan_down(DownRequest { target, confirmed: yes }).await?;
        let text = down::plan_text(&plans);
        if dry_run {
            return Ok(Output::new(&json!({ "would_take_back": plans }), text));
        }
        let is_harmless = plans.iter().all(|plan| plan.requested && plan.losses.is_empty());
        let yes = yes || (!is_harmless && context.confirm(&text)?);
        let backup = if yes { before_losses(context, &plans, no_backup).await? } else { None };
        let done = context.migrator.redo(&id, yes).await?;
        let mut text = down::backup_text(backup.as_deref());
        text += &down::report_text(&done.rolled_back);
        text += &up::report_text(&done.report);
        text.push_line(format!("{} applied again", count(done.report.applied.len(), "migration")));
        let RedoReport { rolled_back, report } = done;
        Ok(Output::new(&json!({ "taken_back": rolled_back, "report": report, "backup": backup }), text))
    }
}
