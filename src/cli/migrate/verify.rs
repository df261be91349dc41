use clap::Args;
use serde_json::json;

use super::{CliError, Context, DRIFT, Lines, Output, Run, count};

/// Check the conditions of all applied migrations
///
/// Examples:
///   field-notes migrate verify
///
/// Exits with 6 if a condition does not hold.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct VerifyArgs;

impl Run for VerifyArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let applied = context.migrator.status().await?.applied.len();
        let findings = context.migrator.conditions().await?;
        let mut text = String::new();
        text.push_lines(findings.iter().map(|(id, finding)| format!("✗ {id}: {finding}")));
        if let Some((first, _)) = findings.first() {
            let is_one = findings.iter().all(|(id, _)| id == first);
            let redo = if is_one { first.as_str() } else { "ID" };
            text.push_line(format!("{} found; nothing was changed", count(findings.len(), "violation")));
            text.push_line(format!("  correct the data, or run `field-notes migrate redo {redo}`"));
        } else {
            text.push_line(format!("all conditions of {} hold", count(applied, "applied migration")));
        }
        let code = if findings.is_empty() { 0 } else { DRIFT };
        let findings: Vec<_> =
            findings.iter().map(|(id, finding)| json!({ "migration": id, "finding": finding.0 })).collect();
        Ok(Output::new(&json!({ "applied": applied, "findings": findings }), text).with_code(code))
    }
}
