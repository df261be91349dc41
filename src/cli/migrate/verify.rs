use clap::Args;
use migrator::Finding;
use serde_json::json;

use super::check::is_stamped;
use super::{CliError, Context, DRIFT, Lines, Output, Run, count};

/// Check the conditions of all applied migrations
///
/// Examples:
///   field-notes migrate verify
///
/// A condition describes the effect of a migration when it was applied or imported. Users may change the data since:
/// that is reported, and the exit code is 0. Exits with 6 if a condition of a stamped migration does not hold.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct VerifyArgs;

impl Run for VerifyArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let status = context.migrator.status().await?;
        let applied = status.applied.len();
        let findings = context.migrator.conditions().await?;
        let (violations, changed): (Vec<_>, Vec<_>) =
            findings.iter().partition(|(id, _)| is_stamped(&status, id));
        let mut text = String::new();
        text.push_lines(changed.iter().map(|(id, finding)| format!("· changed since {id}: {finding}")));
        text.push_lines(violations.iter().map(|(id, finding)| format!("✗ {id}: {finding}")));
        if let Some((first, _)) = violations.first() {
            text.push_line(format!("{} found; nothing was changed", count(violations.len(), "violation")));
            text.push_line(format!(
                "  correct the data, or run `field-notes migrate stamp {first} --pending --reason …`"
            ));
        } else {
            text.push_line(format!(
                "all conditions of {} held when they were applied",
                count(applied, "migration")
            ));
        }
        let code = if violations.is_empty() { 0 } else { DRIFT };
        let to_json = |(id, finding): &(String, Finding)| json!({ "migration": id, "finding": finding.0, "violation": is_stamped(&status, id) });
        let findings: Vec<_> = findings.iter().map(to_json).collect();
        Ok(Output::new(&json!({ "applied": applied, "findings": findings }), text).with_code(code))
    }
}
