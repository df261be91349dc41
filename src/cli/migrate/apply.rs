use std::fmt::Write as _;

use clap::{Args, Subcommand};
use migrator::{DownPlan, DownReport, DownRequest, Report, StepCounts, UpMode};
use serde_json::json;

use super::desk::{Desk, Intent};
use super::told::{self, Told};
use crate::cli::Ended;

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Verb {
    /// Apply pending migrations, and go on with one that failed or was interrupted
    #[command(after_help = "Examples:
  field-notes migrate up
  field-notes migrate up --allow-unknown")]
    Up(Up),
    /// Take back the last applied migration, that one only
    #[command(after_help = "Examples:
  field-notes migrate down
  field-notes migrate down --yes")]
    Down(Down),
    /// Wait until another process has applied all migrations
    #[command(after_help = "Examples:
  field-notes migrate wait
  MIGRATE_WAIT_SECONDS=30 field-notes migrate wait

The exit code is 3 if some are still pending when the time is up.")]
    Wait,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Up {
    /// Take over names in the original's ledger that this program does not know
    #[arg(long)]
    allow_unknown: bool,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Down {
    /// Do it even if data would be lost
    #[arg(long)]
    yes: bool,
}

impl Verb {
    pub(super) fn intent(&self) -> Intent {
        match self {
            Self::Up(_) => Intent::Make,
            Self::Down(_) | Self::Wait => Intent::Look,
        }
    }

    /// What the command line says in place of the configuration.
    pub(super) fn allows_unknown(&self) -> bool {
        matches!(self, Self::Up(Up { allow_unknown: true }))
    }

    pub(super) async fn carry_out(self, desk: &Desk) -> Result<Told, Ended> {
        match self {
            Self::Up(_) => up(desk).await,
            Self::Down(wanted) => down(desk, wanted.yes).await,
            Self::Wait => {
                desk.migrator.wait().await?;
                Ok(Told::new(&json!({ "pending": [] }), "all migrations are applied\n"))
            }
        }
    }
}

async fn up(desk: &Desk) -> Result<Told, Ended> {
    let report = desk.migrator.up(UpMode::Operator).await?;
    Ok(Told::new(&json!({}), up_text(&report)))
}

fn up_text(report: &Report) -> String {
    let mut text = String::new();
    for id in &report.rolled_back {
        let _ = writeln!(text, "finished taking back {id}");
    }
    for imported in &report.imported {
        let _ = writeln!(text, "took over {}", imported.id);
    }
    for applied in &report.applied {
        let _ = writeln!(text, "applied {} in {} ms", applied.id, applied.duration.as_millis());
        details(&mut text, &applied.counts, &applied.warnings);
    }
    for (migration, finding) in &report.findings {
        let _ = writeln!(text, "warning: {migration}: {finding}");
    }
    if report.applied.is_empty() && report.imported.is_empty() {
        let _ = writeln!(text, "nothing to do: {} applied", report.already);
    }
    text
}

fn details(text: &mut String, counts: &[StepCounts], warnings: &[String]) {
    for step in counts {
        let _ = writeln!(text, "    {step}");
    }
    for warning in warnings {
        let _ = writeln!(text, "    warning: {warning}");
    }
}

async fn down(desk: &Desk, yes: bool) -> Result<Told, Ended> {
    let Some(plan) = desk.migrator.plan_down().await? else {
        return Ok(Told::new(&json!({}), "nothing is applied\n"));
    };
    let yes = yes || (!plan.losses.is_empty() && !desk.json && told::is_asked() && is_confirmed(&plan));
    let report = desk.migrator.down(DownRequest { yes }).await?;
    Ok(Told::new(&json!({}), report.map(|report| down_text(&report)).unwrap_or_default()))
}

fn down_text(report: &DownReport) -> String {
    let mut text = format!("took back {} in {} ms\n", report.id, report.duration.as_millis());
    details(&mut text, &report.counts, &report.warnings);
    text
}

fn is_confirmed(DownPlan { id, losses, .. }: &DownPlan) -> bool {
    told::say(&format!("taking back {id} loses data:\n"));
    for loss in losses {
        told::say(&format!("    {loss}\n"));
    }
    told::go_on()
}
