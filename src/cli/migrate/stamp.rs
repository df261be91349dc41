use clap::Args;
use migrator::Stamp;

use super::{AccessMode, CliError, Context, Output, Run};

/// Record a migration as applied or pending without running it
///
/// Examples:
///   field-notes migrate stamp 0004 --reason "links were made by hand"
///   field-notes migrate stamp 0004 --pending --reason "it was never run here"
///
/// A stamped migration has no journal, so it cannot be rolled back exactly.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct StampArgs {
    /// Migration (id or unique prefix)
    id: String,
    /// Record it as not applied
    #[arg(long, alias = "none")]
    pending: bool,
    /// Reason, kept in the log
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl Run for StampArgs {
    const ACCESS: AccessMode = AccessMode::Create;

    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let (stamp, state) =
            if self.pending { (Stamp::RolledBack, "not applied") } else { (Stamp::Applied, "applied") };
        let done = context.migrator.stamp(&self.id, stamp, &self.reason).await?;
        Ok(Output::new(&done, format!("recorded {} as {state}; nothing was run\n", done.id)))
    }
}
