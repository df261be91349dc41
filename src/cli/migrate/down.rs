use clap::Args;
use migrator::{DownPlan, DownReport, DownRequest, DownTarget};
use serde_json::json;

use super::backup::before_losses;
use super::up::details;
use super::{AccessMode, CliError, Context, Lines, Output, Run, count};

/// Roll back the last applied migration
///
/// Examples:
///   field-notes migrate down
///   field-notes migrate down --to 0002          0002 stays applied
///   field-notes migrate down --run 0199a7c4     roll back one run
///   field-notes migrate down --all --yes
///
/// Asks before it loses data, and with --to, --steps, --run or --all. Without a terminal, --yes is required to
/// lose data, for --all, and for a run that migrations of other runs depend on. Edits that would be lost are backed
/// up first.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct DownArgs {
    /// Roll back everything that depends on this migration, which stays (id or unique prefix)
    #[arg(long, value_name = "ID", group = "target")]
    to: Option<String>,
    /// Roll back this number of migrations, the last first
    #[arg(long, value_name = "N", group = "target")]
    steps: Option<usize>,
    /// Roll back one run, and everything that depends on it (id or unique prefix)
    #[arg(long, value_name = "RUN", group = "target")]
    run: Option<String>,
    /// Roll back all migrations
    #[arg(long, group = "target")]
    all: bool,
    /// Print the plan and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask, even if data would be lost
    #[arg(long)]
    yes: bool,
    /// Take no backup, even if data would be lost
    #[arg(long)]
    no_backup: bool,
}

impl Run for DownArgs {
    const ACCESS: AccessMode = AccessMode::Write;

    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let Self { to, steps, run, all, dry_run, yes, no_backup } = self;
        let all = all.then_some(DownTarget::All);
        let target =
            to.map(DownTarget::To).or(steps.map(DownTarget::Steps)).or(run.map(DownTarget::Run)).or(all);
        let is_last = target.is_none();
        let is_whole = matches!(target, None | Some(DownTarget::All));
        let request = DownRequest { target: target.unwrap_or(DownTarget::Last), confirmed: yes };
        let plans = context.migrator.plan_down(request.clone()).await?;
        if plans.is_empty() {
            let text = if is_whole { "nothing is applied\n" } else { "nothing to roll back\n" };
            return Ok(Output::new(&json!({ "taken_back": [] }), text));
        }
        if dry_run {
            return Ok(Output::new(&json!({ "would_take_back": plans }), plan_text(&plans)));
        }
        let is_harmless = is_last && plans.iter().all(|plan| plan.losses.is_empty());
        let yes = yes || (!is_harmless && context.confirm(&plan_text(&plans))?);
        let backup = if yes { before_losses(context, &plans, no_backup).await? } else { None };
        let reports = context.migrator.down(DownRequest { confirmed: yes, ..request }).await?;
        let mut text = backup_text(backup.as_deref()) + &report_text(&reports);
        if !reports.is_empty() {
            text.push_str("to apply again, run `field-notes migrate up`\n");
        }
        Ok(Output::new(&json!({ "taken_back": reports, "backup": backup }), text))
    }
}

pub(super) fn plan_text(plans: &[DownPlan]) -> String {
    let mut text = String::new();
    for plan in plans {
        let requested = if plan.requested { "" } else { " (a dependent of the requested migration)" };
        text.push_line(format!("roll back {}{requested}: {}", plan.id, plan.summary));
        if !plan.losses.is_empty() {
            let certain = if plan.certain { "this is lost" } else { "with the current data, this is lost" };
            text.push_line(format!("    {certain}:"));
        }
        text.push_lines(plan.losses.iter().map(|loss| format!("      {loss}")));
    }
    text.push_line(format!("{} in total", count(plans.len(), "migration")));
    text
}

pub(super) fn backup_text(backup: Option<&str>) -> String {
    backup.map_or_else(String::new, |id| {
        format!(
            "backup {id} taken first; to inspect it, run `field-notes migrate restore {id} --into-scratch`\n"
        )
    })
}

pub(super) fn report_text(reports: &[DownReport]) -> String {
    let mut text = String::new();
    for report in reports {
        text.push_line(format!("rolled back {} in {} ms", report.id, report.duration.as_millis()));
        details(&mut text, &report.counts, &report.warnings);
    }
    text
}
