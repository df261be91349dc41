use std::fmt::Write as _;

use clap::{Args, Subcommand};
use migrator::{
    DownPlan, DownReport, DownRequest, DownTarget, StepCounts, UpMode, UpReport, UpRequest, UpTarget,
};
use serde_json::json;

use super::context::{AccessMode, Context};
use super::output::{self, Output, count};
use super::plan;
use crate::cli::CliError;

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Verb {
    /// Apply pending migrations, and go on with one that failed or was interrupted
    #[command(after_help = "Examples:
  field-notes migrate up
  field-notes migrate up --to 0003
  field-notes migrate up --steps 1 --strict
  field-notes migrate up --dry-run
  field-notes migrate up --context demo
  field-notes migrate up --allow-unknown

It prints the id of its run; `field-notes migrate down --run ID` takes all of that back.")]
    Up(Up),
    /// Take back the last applied migration, that one only
    #[command(after_help = "Examples:
  field-notes migrate down
  field-notes migrate down --to 0002          0002 stays applied
  field-notes migrate down --run 0199a7c4     what one run applied
  field-notes migrate down --all --yes

What would lose data is asked about first; where nobody can be asked, --yes is needed.")]
    Down(Down),
    /// Take one back and apply it anew, with whatever depends on it
    #[command(after_help = "Examples:
  field-notes migrate redo 0004
  field-notes migrate redo 0003 --yes")]
    Redo(Redo),
    /// Wait until another process has applied all migrations
    #[command(after_help = "Examples:
  field-notes migrate wait
  MIGRATE_WAIT_SECONDS=30 field-notes migrate wait

The exit code is 3 if some are still pending when the time is up.")]
    Wait,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Up {
    #[command(flatten)]
    pub(super) range: UpRange,
    /// Say what would be done, and do nothing: the same as `plan`
    #[arg(long)]
    dry_run: bool,
    /// Take over names in the original's ledger that this program does not know
    #[arg(long)]
    allow_unknown: bool,
}

/// How far up.
#[derive(Debug, Clone, Args)]
pub(super) struct UpRange {
    /// This migration, and what it depends on; the beginning of its id is enough
    #[arg(long, value_name = "ID", conflicts_with = "steps")]
    to: Option<String>,
    /// So many of them
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Take a warning for a failure
    #[arg(long)]
    strict: bool,
}

impl UpRange {
    pub(super) fn request(&self) -> UpRequest {
        let target = match (&self.to, self.steps) {
            (Some(id), _) => UpTarget::To(id.clone()),
            (None, Some(n)) => UpTarget::Steps(n),
            (None, None) => UpTarget::All,
        };
        UpRequest { mode: UpMode::Operator, target, strict: self.strict }
    }
}

#[derive(Debug, Clone, Args)]
pub(super) struct Down {
    /// Whatever depends on this migration, which stays; the beginning of its id is enough
    #[arg(long, value_name = "ID", group = "far")]
    to: Option<String>,
    /// So many, the last first
    #[arg(long, value_name = "N", group = "far")]
    steps: Option<usize>,
    /// What this run applied, and whatever depends on that; the beginning of its id is enough
    #[arg(long, value_name = "RUN", group = "far")]
    run: Option<String>,
    /// Everything
    #[arg(long, group = "far")]
    all: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask, even if data would be lost
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Redo {
    /// Which; the beginning of its id is enough
    id: String,
    /// Do not ask, even if data would be lost
    #[arg(long)]
    yes: bool,
}

impl Verb {
    pub(super) fn access(&self) -> AccessMode {
        match self {
            Self::Up(Up { dry_run: false, .. }) => AccessMode::Create,
            Self::Up(_) => AccessMode::Read,
            Self::Down(_) | Self::Redo(_) | Self::Wait => AccessMode::Write,
        }
    }

    /// What the command line says in place of the configuration.
    pub(super) fn allows_unknown(&self) -> bool {
        matches!(self, Self::Up(Up { allow_unknown: true, .. }))
    }

    pub(super) async fn run(self, context: &Context) -> Result<Output, CliError> {
        match self {
            Self::Up(Up { range, dry_run: true, .. }) => plan::up(context, &range.request()).await,
            Self::Up(Up { range, .. }) => {
                let report = context.migrator.up(&range.request()).await?;
                Ok(Output::new(&report, up_text(&report)))
            }
            Self::Down(wanted) => down(context, wanted).await,
            Self::Redo(Redo { id, yes }) => redo(context, &id, yes).await,
            Self::Wait => {
                context.migrator.wait().await?;
                Ok(Output::new(&json!({ "pending": [] }), "all migrations are applied\n"))
            }
        }
    }
}

pub(super) fn up_text(report: &UpReport) -> String {
    let mut text = String::new();
    for id in &report.rolled_back {
        let _ = writeln!(text, "finished taking back {id}");
    }
    for imported in &report.imported {
        let _ = writeln!(text, "took over {}", imported.id);
        details(&mut text, &[], &imported.warnings);
    }
    for applied in &report.applied {
        let _ = writeln!(text, "applied {} in {} ms", applied.id, applied.duration.as_millis());
        if let Some(id) = &applied.backup {
            let _ = writeln!(text, "    backup {id} was taken before it");
        }
        details(&mut text, &applied.counts, &applied.warnings);
    }
    for (migration, finding) in &report.findings {
        // Those of what was applied or taken over now are told there.
        let told = report.applied.iter().map(|applied| (&applied.id, &applied.warnings));
        let told = told.chain(report.imported.iter().map(|imported| (&imported.id, &imported.warnings)));
        if !told.into_iter().any(|(id, warnings)| id == migration && warnings.contains(&finding.0)) {
            let _ = writeln!(text, "warning: {migration}: {finding}");
        }
    }
    if !report.unknown.is_empty() {
        let _ = writeln!(text, "applied by a newer program: {}", report.unknown.join(", "));
    }
    if report.applied.is_empty() && report.imported.is_empty() {
        let _ = writeln!(text, "nothing to do: {} applied", report.already_applied);
    } else {
        let _ = writeln!(text, "run {}", report.run_id);
    }
    text
}

pub(super) fn details(text: &mut String, counts: &[StepCounts], warnings: &[String]) {
    for step in counts {
        let _ = writeln!(text, "    {step}");
    }
    for warning in warnings {
        let _ = writeln!(text, "    warning: {warning}");
    }
}

async fn down(context: &Context, wanted: Down) -> Result<Output, CliError> {
    let Down { to, steps, run, all, dry_run, yes } = wanted;
    let is_last = to.is_none() && steps.is_none() && run.is_none() && !all;
    let target = match (to, steps, run) {
        (Some(id), ..) => DownTarget::To(id),
        (_, Some(n), _) => DownTarget::Steps(n),
        (.., Some(run)) => DownTarget::Run(run),
        _ if all => DownTarget::All,
        _ => DownTarget::Last,
    };
    let request = DownRequest { target, confirmed: yes };
    let plans = context.migrator.plan_down(&request).await?;
    if plans.is_empty() {
        let text = if is_last || all { "nothing is applied\n" } else { "nothing to take back\n" };
        return Ok(Output::new(&json!({ "taken_back": [] }), text));
    }
    if dry_run {
        return Ok(Output::new(&json!({ "would_take_back": plans }), plan::down_text(&plans)));
    }
    let harmless = is_last && plans.iter().all(|plan| plan.losses.is_empty());
    let yes = yes || (!harmless && context.is_interactive() && confirmed(&plans));
    let reports = context.migrator.down(&DownRequest { confirmed: yes, ..request }).await?;
    Ok(Output::new(&json!({ "taken_back": reports }), down_text(&reports)))
}

pub(super) fn down_text(reports: &[DownReport]) -> String {
    let mut text = String::new();
    for report in reports {
        let _ = writeln!(text, "took back {} in {} ms", report.id, report.duration.as_millis());
        details(&mut text, &report.counts, &report.warnings);
    }
    if !reports.is_empty() {
        text.push_str("`field-notes migrate up` applies it anew\n");
    }
    text
}

fn confirmed(plans: &[DownPlan]) -> bool {
    output::say(&plan::down_text(plans));
    output::confirm()
}

async fn redo(context: &Context, id: &str, yes: bool) -> Result<Output, CliError> {
    let migrator = &context.migrator;
    let done = match migrator.redo(id, yes).await {
        Err(error) if error.exit_code() == super::REFUSED && !yes && context.is_interactive() => {
            output::say(&format!("{error}\n"));
            if !output::confirm() {
                return Err(error.into());
            }
            migrator.redo(id, true).await?
        }
        outcome => outcome?,
    };
    let mut text = down_text(&done.rolled_back).replace("`field-notes migrate up` applies it anew\n", "");
    text.push_str(&up_text(&done.report));
    let _ = writeln!(text, "{} done anew", count(done.report.applied.len(), "migration"));
    Ok(Output::new(&done, text))
}
