use clap::Args;
use serde_json::json;

use super::{AccessMode, CliError, Context, Output, Run};

/// Wait until another process has applied all migrations
///
/// Examples:
///   field-notes migrate wait
///   MIGRATE_WAIT_SECONDS=30 field-notes migrate wait
///
/// Exits with 3 if migrations are still pending after MIGRATE_WAIT_SECONDS.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct WaitArgs;

impl Run for WaitArgs {
    /// Lets a signal end the wait.
    const ACCESS: AccessMode = AccessMode::Write;

    async fn run(self, context: &Context) -> Result<Output, CliError> {
        context.migrator.wait().await?;
        Ok(Output::new(&json!({ "pending": [] }), "all migrations are applied\n"))
    }
}
