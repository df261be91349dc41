use std::fmt::Write as _;

use clap::Args;
use migrator::{StepCounts, UpReport};

use super::Run;
use super::plan::{self, UpRange};
use crate::cli::context::{AccessMode, Context};
use crate::cli::output::{CliError, Output};

/// Apply pending migrations; resume one that failed or was interrupted
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  field-notes migrate up
  field-notes migrate up --to 0003
  field-notes migrate up --steps 1 --strict
  field-notes migrate up --dry-run
  field-notes migrate up --context demo
  field-notes migrate up --allow-unknown

Prints the id of the run; `field-notes migrate down --run ID` rolls that run back.")]
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
        if self.dry_run {
            return plan::dry_run(context, self.range).await;
        }
        let report = context.migrator.up(&self.range.into()).await?;
        Ok(Output::new(&report, report_text(&report)))
    }
}

pub(super) fn report_text(report: &UpReport) -> String {
    let mut text = String::new();
    for id in &report.rolled_back {
        _ = writeln!(text, "finished rolling back {id}");
    }
    for imported in &report.imported {
        _ = writeln!(text, "imported {}", imported.id);
        details(&mut text, &[], &imported.warnings);
    }
    for applied in &report.applied {
        _ = writeln!(text, "applied {} in {} ms", applied.id, applied.duration.as_millis());
        if let Some(id) = &applied.backup {
            _ = writeln!(text, "    backup {id} taken before it");
        }
        details(&mut text, &applied.counts, &applied.warnings);
    }
    // Findings of migrations that this run applied or imported are among their warnings.
    let printed: Vec<_> = (report.applied.iter().map(|applied| (&applied.id, &applied.warnings)))
        .chain(report.imported.iter().map(|imported| (&imported.id, &imported.warnings)))
        .collect();
    for (migration, finding) in &report.findings {
        if !printed.iter().any(|(id, warnings)| *id == migration && warnings.contains(&finding.0)) {
            _ = writeln!(text, "warning: {migration}: {finding}");
        }
    }
    if !report.unknown.is_empty() {
        _ = writeln!(text, "applied by a newer program: {}", report.unknown.join(", "));
    }
    if report.applied.is_empty() && report.imported.is_empty() {
        _ = writeln!(text, "nothing to do: {} applied", report.already_applied);
    } else {
        _ = writeln!(text, "run {}", report.run_id);
    }
    text
}

/// Writes the counts of each step and the warnings, indented.
pub(super) fn details(text: &mut String, counts: &[StepCounts], warnings: &[String]) {
    for step in counts {
        _ = writeln!(text, "    {step}");
    }
    for warning in warnings {
        _ = writeln!(text, "    warning: {warning}");
    }
}
