use clap::Args;

use super::{AccessMode, CliError, Context, Lines, Output, REFUSED, Run, count, down, up};

/// Roll back one migration with its dependents, and apply them again
///
/// Examples:
///   field-notes migrate redo 0004
///   field-notes migrate redo 0003 --yes
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct RedoArgs {
    /// Migration (id or unique prefix)
    id: String,
    /// Do not ask, even if data would be lost
    #[arg(long)]
    yes: bool,
}

impl Run for RedoArgs {
    const ACCESS: AccessMode = AccessMode::Write;

    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let migrator = &context.migrator;
        let done = match migrator.redo(&self.id, self.yes).await {
            Err(error)
                if error.exit_code() == REFUSED && !self.yes && context.confirm(&format!("{error}\n"))? =>
            {
                migrator.redo(&self.id, true).await?
            }
            outcome => outcome?,
        };
        let mut text = down::report_text(&done.rolled_back) + &up::report_text(&done.report);
        text.push_line(format!("{} applied again", count(done.report.applied.len(), "migration")));
        Ok(Output::new(&done, text))
    }
}
