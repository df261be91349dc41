use std::fmt::Write as _;

use clap::Args;
use serde_json::json;

use super::Run;
use crate::cli::context::Context;
use crate::cli::output::{CliError, Output, time};

/// Print the last applied migration
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  field-notes migrate current
  field-notes migrate current --json")]
pub(super) struct CurrentArgs;

impl Run for CurrentArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let current = context.migrator.current().await?;
        let mut text = String::new();
        for entry in &current {
            text.push_str(&entry.id);
            if let Some(at) = entry.applied_at {
                _ = write!(text, " ({})", time(at));
            }
            if !entry.summary.is_empty() {
                _ = write!(text, ": {}", entry.summary);
            }
            text.push('\n');
        }
        if current.is_empty() {
            text.push_str("nothing is applied\n");
        }
        Ok(Output::new(&json!({ "current": current }), text))
    }
}
