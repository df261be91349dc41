use clap::Args;
use serde_json::json;

use super::{CliError, Context, Lines, Output, Run, time};

/// Print the last applied migration
///
/// Examples:
///   field-notes migrate current
///   field-notes migrate current --json
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct CurrentArgs;

impl Run for CurrentArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let current = context.migrator.current().await?;
        let mut text = String::new();
        for entry in &current {
            let at = entry.applied_at.map(|at| format!(" ({})", time(at))).unwrap_or_default();
            let summary = if entry.summary.is_empty() { "" } else { ": " };
            text.push_line(format!("{}{at}{summary}{}", entry.id, entry.summary));
        }
        if current.is_empty() {
            text.push_str("nothing is applied\n");
        }
        Ok(Output::new(&json!({ "current": current }), text))
    }
}
