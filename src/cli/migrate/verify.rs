use std::fmt::Write as _;

use clap::Args;
use serde_json::json;

use super::Run;
use crate::cli::context::Context;
use crate::cli::output::{CliError, DRIFT, Output, count};

/// Check the conditions of all applied migrations
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  field-notes migrate verify

Exits with 6 if a condition does not hold.")]
pub(super) struct VerifyArgs;

impl Run for VerifyArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let applied = context.migrator.status().await?.applied.len();
        let findings = context.migrator.conditions().await?;
        let mut text = String::new();
        for (id, finding) in &findings {
            _ = writeln!(text, "✗ {id}: {finding}");
        }
        if let Some((first, _)) = findings.first() {
            let is_one = findings.iter().all(|(id, _)| id == first);
            let redo = if is_one { first.as_str() } else { "ID" };
            _ = writeln!(
                text,
                "{} found; nothing was changed\n  correct the data, or run `field-notes migrate redo {redo}`",
                count(findings.len(), "violation")
            );
        } else {
            _ = writeln!(text, "all conditions of {} hold", count(applied, "applied migration"));
        }
        let code = if findings.is_empty() { 0 } else { DRIFT };
        let findings: Vec<_> =
            findings.iter().map(|(id, finding)| json!({ "migration": id, "finding": finding.0 })).collect();
        Ok(Output::new(&json!({ "applied": applied, "findings": findings }), text).with_code(code))
    }
}
