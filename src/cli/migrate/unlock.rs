use clap::Args;
use migrator::UnlockOutcome;

use super::{AccessMode, CliError, Context, Output, Run};

/// Release the lock of a dead process
///
/// Examples:
///   field-notes migrate unlock --reason "its machine was switched off"
///   field-notes migrate unlock --force --reason "the clock was wrong"
///
/// A lock expires after MIGRATE_LEASE_SECONDS by itself. A lock that has not expired is released
/// only if its process is known to be dead, or with --force.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct UnlockArgs {
    /// Reason, kept in the log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Release a lock that has not expired; its holder, if it is alive, stops before its next write
    #[arg(long)]
    force: bool,
}

impl Run for UnlockArgs {
    const ACCESS: AccessMode = AccessMode::Write;

    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let done = context.migrator.unlock(&self.reason, self.force).await?;
        let text = match &done {
            UnlockOutcome::Released { holder, .. } => format!("released the lock of {holder}\n"),
            UnlockOutcome::Free => "the lock is free\n".to_owned(),
        };
        Ok(Output::new(&done, text))
    }
}
