use clap::Args;
use migrator::{StepCounts, UpReport};

use super::plan::{self, UpRange};
use super::{AccessMode, CliError, Context, Lines, Output, Run};
use crate::startup;

/// Apply pending migrations; resume one that failed or was interrupted
///
/// Examples:
///   field-notes migrate up
///   field-notes migrate up --to 0003
///   field-notes migrate up --steps 1 --strict
///   field-notes migrate up --dry-run
///   field-notes migrate up --allow-unknown
///
/// Prints the id of the run; `field-notes migrate down --run ID` rolls that run back.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct UpArgs {
    #[command(flatten)]
    range: UpRange,
    /// Print the plan and change nothing, like `plan`
    #[arg(long)]
    dry_run: bool,
    /// Import unknown names from the original's ledger
    #[arg(long)]
    allow_unknown: bool,
}

impl Run for UpArgs {
    fn access(&self) -> AccessMode {
        if self.dry_run { AccessMode::Read } else { AccessMode::Create }
    }

    fn allows_unknown(&self) -> bool {
        self.allow_unknown
    }

    async fn run(self, context: &Context) -> Result<Output, CliError> {
        if let Some(failure) = startup::special_collections(&context.database).await?.into_iter().next() {
            return Err(failure.into());
        }
        if self.dry_run {
            return plan::dry_run(context, self.range).await;
        }
        let report = context.migrator.up(self.range).await?;
        Ok(Output::new(&report, report_text(&report)))
    }
}

pub(super) fn report_text(report: &UpReport) -> String {
    let mut text = String::new();
    text.push_lines(report.rolled_back.iter().map(|id| format!("finished rolling back {id}")));
    for imported in &report.imported {
        text.push_line(format!("imported {}", imported.id));
        details(&mut text, &[], &imported.warnings);
    }
    for applied in &report.applied {
        text.push_line(format!("applied {} in {} ms", applied.id, applied.duration.as_millis()));
        text.push_lines(applied.backup.iter().map(|id| format!("    backup {id} taken before it")));
        details(&mut text, &applied.counts, &applied.warnings);
    }
    // Findings of migrations that this run applied or imported are among their warnings.
    let is_printed = |id: &String, finding: &str| {
        let applied = report.applied.iter().map(|one| (&one.id, &one.warnings));
        let mut all = applied.chain(report.imported.iter().map(|one| (&one.id, &one.warnings)));
        all.any(|(other, warnings)| other == id && warnings.iter().any(|warning| warning == finding))
    };
    let findings = report.findings.iter().filter(|(id, finding)| !is_printed(id, &finding.0));
    text.push_lines(findings.map(|(id, finding)| format!("warning: {id}: {finding}")));
    text.push_list("applied by a newer program:", &report.unknown);
    if report.applied.is_empty() && report.imported.is_empty() {
        text.push_line(format!("nothing to do: {} applied", report.already_applied));
    } else {
        text.push_line(format!("run {}", report.run_id));
    }
    text
}

/// Writes the counts of each step and the warnings, indented.
pub(super) fn details(text: &mut String, counts: &[StepCounts], warnings: &[String]) {
    text.push_lines(counts.iter().map(|step| format!("    {step}")));
    text.push_lines(warnings.iter().map(|warning| format!("    warning: {warning}")));
}
