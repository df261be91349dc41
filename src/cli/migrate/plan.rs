use std::fmt::Write as _;

use clap::Args;
use migrator::{
    ActionKind, MigrationPreview, PlannedAction, Preview, PreviewPath, Undo, UpMode, UpPlan, UpRequest,
    UpTarget,
};
use serde_json::json;

use super::Run;
use crate::cli::context::Context;
use crate::cli::output::{CliError, Output, count, first_line, size};

/// Print what `up` would do, and change nothing
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  field-notes migrate plan
  field-notes migrate plan --to 0003 --json

Reads only: no document, collection or ledger entry is written.")]
pub(super) struct PlanArgs {
    #[command(flatten)]
    range: UpRange,
}

/// The migrations to apply.
#[derive(Debug, Clone, Args)]
pub(super) struct UpRange {
    /// Apply up to this migration, with its dependencies (id or unique prefix)
    #[arg(long, value_name = "ID", conflicts_with = "steps")]
    to: Option<String>,
    /// Apply at most this number of migrations
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Fail on a warning
    #[arg(long)]
    strict: bool,
}

impl From<UpRange> for UpRequest {
    fn from(UpRange { to, steps, strict }: UpRange) -> Self {
        let target = to.map(UpTarget::To).or(steps.map(UpTarget::Steps)).unwrap_or_default();
        Self { mode: UpMode::Operator, target, strict }
    }
}

impl Run for PlanArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        dry_run(context, self.range).await
    }
}

pub(super) async fn dry_run(context: &Context, range: UpRange) -> Result<Output, CliError> {
    let (migrator, request) = (&context.migrator, range.into());
    let plan = migrator.plan_up(&request).await?;
    let missing = migrator.missing_env(&request).await?;
    if !missing.is_empty() {
        return Err(migrator::Error::MissingEnv(missing).into());
    }
    let preview = migrator.preview(&request).await?;
    let text = plan_text(&plan, &preview);
    Ok(Output::new(&json!({ "plan": plan, "preview": preview }), text))
}

fn plan_text(plan: &UpPlan, preview: &Preview) -> String {
    let mut text = String::new();
    for id in &plan.imports {
        _ = writeln!(text, "import {id} from the earlier tool's ledger");
    }
    for action in &plan.actions {
        action_text(&mut text, action);
        if let Some(found) = preview.migrations.iter().find(|found| found.id == action.id) {
            preview_text(&mut text, found);
        }
    }
    for (ids, what) in
        [(&plan.not_in_context, "not in this context"), (&plan.unknown, "applied by a newer program")]
    {
        if !ids.is_empty() {
            _ = writeln!(text, "{what}: {}", ids.join(", "));
        }
    }
    if plan.actions.is_empty() && plan.imports.is_empty() {
        _ = writeln!(text, "nothing to do: {} applied", plan.already_applied);
        return text;
    }
    match (preview.path, &preview.not_tried) {
        _ if plan.actions.is_empty() => {}
        (PreviewPath::Tried, _) => text.push_str("tried in a transaction that was rolled back\n"),
        (_, why) => {
            let why = why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            _ = writeln!(text, "counted on the current data{why}");
        }
    }
    text.push_str("nothing was changed; to apply, run `field-notes migrate up`\n");
    text
}

fn action_text(text: &mut String, action: &PlannedAction) {
    let verb = match action.kind {
        ActionKind::Apply => "apply",
        ActionKind::Resume => "resume",
        ActionKind::Retry => "retry",
        ActionKind::FinishUndo => "finish rolling back",
    };
    _ = writeln!(text, "{verb} {}: {}", action.id, action.summary);
    let journal = if action.journal { "" } else { ", no journal" };
    let kind = format!("{:?}, {:?}{journal}", action.phase, action.mode).to_lowercase();
    _ = writeln!(text, "    {kind}; undo: {}", undo_text(action.undo));
    if action.breaks_older {
        text.push_str("    older programs must not run after it\n");
    }
    if let Some(why) = action.backup {
        _ = writeln!(text, "    a backup is taken first: {why}");
    }
    if !action.comes_before.is_empty() {
        let others = action.comes_before.join(", ");
        _ = writeln!(text, "    ordered before {others}, which touches other collections");
    }
}

fn preview_text(text: &mut String, found: &MigrationPreview) {
    for step in &found.steps {
        let bound = if step.exact { "" } else { "at most " };
        _ = writeln!(text, "    {}: {bound}{}\n        {}", step.step, step.matched, step.text);
        // The text of an inserting step names the documents already; they have no id and no earlier form.
        let changed =
            step.samples.iter().filter(|sample| !sample.before.is_empty() || sample.id != bson::Bson::Null);
        for sample in changed {
            let id = sample.id.to_string();
            _ = writeln!(text, "        {id}: {} → {}", inline(&sample.before), inline(&sample.after));
        }
    }
    if found.documents > 0 {
        let (documents, journal) = (count(found.documents, "document"), size(found.journal_bytes));
        let (estimate, basis) = (found.estimate_ms, &found.estimate_from);
        _ = writeln!(text, "    total: {documents}, journal about {journal}, about {estimate} ms ({basis})");
    }
    for warning in &found.warnings {
        _ = writeln!(text, "    warning: {warning}");
    }
    if !found.without.is_empty() {
        _ = writeln!(text, "    previewed without the changes of {}", found.without.join(", "));
    }
    for lint in &found.lints {
        _ = writeln!(text, "    {lint}");
    }
    if let Some(error) = &found.error {
        _ = writeln!(text, "    would fail: {}", first_line(error));
    }
}

/// Formats a part of a document on one line.
fn inline(document: &bson::Document) -> String {
    if document.is_empty() { "nothing".to_owned() } else { document.to_string() }
}

pub(super) fn undo_text(undo: Undo) -> String {
    match undo {
        Undo::Journal => "exact, from the journal".to_owned(),
        Undo::Code => "by its own code".to_owned(),
        Undo::Irreversible(why) => format!("none: {why}"),
    }
}
