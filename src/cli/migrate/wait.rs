use clap::Args;
use serde_json::json;

use super::Run;
use crate::cli::context::{AccessMode, Context};
use crate::cli::output::{CliError, Output};

/// Wait until another process has applied all migrations
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  field-notes migrate wait
  MIGRATE_WAIT_SECONDS=30 field-notes migrate wait

Exits with 3 if migrations are still pending after MIGRATE_WAIT_SECONDS.")]
pub(super) struct WaitArgs;

impl Run for WaitArgs {
    /// Lets a signal end the wait.
    fn access(&self) -> AccessMode {
        AccessMode::Write
    }

    async fn run(self, context: &Context) -> Result<Output, CliError> {
        context.migrator.wait().await?;
        Ok(Output::new(&json!({ "pending": [] }), "all migrations are applied\n"))
    }
}
