use clap::Args;
use migrator::Severity;
use serde_json::json;

use super::{CONTRADICTION, CliError, Context, Lines, Output, Run, count};

/// Find unsafe migrations
///
/// Examples:
///   field-notes migrate lint
///   field-notes migrate lint --strict
///
/// Exits with 7 if there are errors, or with --strict if there are warnings. Existing data is checked, too.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct LintArgs {
    /// Fail on a warning
    #[arg(long)]
    strict: bool,
}

impl Run for LintArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let lints = context.migrator.lint().await?;
        let errors = lints.iter().filter(|lint| lint.severity == Severity::Error).count();
        let warnings = lints.len() - errors;
        let mut text = lints.iter().fold(String::new(), |text, lint| format!("{text}{lint}\n"));
        text.push_line(format!("{}, {}", count(errors, "error"), count(warnings, "warning")));
        let fails = errors > 0 || (self.strict && warnings > 0);
        let output = Output::new(&json!({ "lints": lints, "errors": errors, "warnings": warnings }), text);
        Ok(output.with_code(if fails { CONTRADICTION } else { 0 }))
    }
}
