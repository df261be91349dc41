use clap::Args;
use migrator::{
    ActionKind, Extended, ExtendedDocument, MigrationPreview, PlannedAction, Preview, PreviewPath, Undo,
    UpMode, UpPlan, UpRequest, UpTarget, duration_text,
};
use serde_json::json;

use super::{CliError, Context, Lines, Output, Run, count, first_line, size};

/// Print what `up` would do, and change nothing
///
/// Examples:
///   field-notes migrate plan
///   field-notes migrate plan --to 0003 --json
///
/// Reads only: no document, collection or ledger entry is written.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
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
    let (migrator, request) = (&context.migrator, UpRequest::from(range));
    let plan = migrator.plan_up(request.clone()).await?;
    let missing = migrator.missing_env(request.clone()).await?;
    if !missing.is_empty() {
        return Err(migrator::Error::MissingEnv(missing).into());
    }
    let preview = migrator.preview(request).await?;
    let text = plan_text(&plan, &preview);
    Ok(Output::new(&json!({ "plan": plan, "preview": preview }), text))
}

fn plan_text(plan: &UpPlan, preview: &Preview) -> String {
    let mut text = String::new();
    text.push_lines(plan.imports.iter().map(|id| format!("import {id} from the earlier tool's ledger")));
    for action in &plan.actions {
        action_text(&mut text, action);
        if let Some(found) = preview.migrations.iter().find(|found| found.id == action.id) {
            preview_text(&mut text, found);
        }
    }
    text.push_list("not in this context:", &plan.not_in_context);
    text.push_list("applied by a newer program:", &plan.unknown);
    if plan.actions.is_empty() && plan.imports.is_empty() {
        text.push_line(format!("nothing to do: {} applied", plan.already_applied));
        return text;
    }
    match (preview.path, &preview.not_tried) {
        _ if plan.actions.is_empty() => {}
        (PreviewPath::Tried, _) => text.push_str("tried in a transaction that was rolled back\n"),
        (_, why) => {
            let why = why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            text.push_line(format!("counted on the current data{why}"));
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
    text.push_line(format!("{verb} {}: {}", action.id, action.summary));
    let journal = if action.journal { "" } else { ", no journal" };
    let kind = format!("{:?}, {:?}{journal}", action.phase, action.mode).to_lowercase();
    text.push_line(format!("    {kind}; undo: {}", undo_text(action.undo)));
    if action.breaks_older {
        text.push_str("    older programs must not run after it\n");
    }
    text.push_lines(action.backup.map(|why| format!("    a backup is taken first: {why}")));
    text.push_list("    out of order, but independent of", &action.comes_before);
}

fn preview_text(text: &mut String, found: &MigrationPreview) {
    for step in &found.steps {
        let bound = if step.exact { "" } else { "at most " };
        text.push_line(format!("    {}: {bound}{}\n        {}", step.step, step.matched, step.text));
        // The text of an inserting step names the documents already; they have no id and no earlier form.
        let changed =
            step.samples.iter().filter(|sample| !sample.before.is_empty() || sample.id != bson::Bson::Null);
        for sample in changed {
            let id = Extended(&sample.id);
            text.push_line(format!("        {id}: {} → {}", inline(&sample.before), inline(&sample.after)));
        }
    }
    if found.documents > 0 {
        let (documents, journal) = (count(found.documents, "document"), size(found.journal_bytes));
        let (estimate, basis) = (duration_text(found.estimate_ms), &found.estimate_from);
        text.push_line(format!("    total: {documents}, journal about {journal}, {estimate} ({basis})"));
    }
    text.push_lines(found.warnings.iter().map(|warning| format!("    warning: {warning}")));
    text.push_list("    previewed without the changes of", &found.without);
    text.push_lines(found.lints.iter().map(|lint| format!("    {lint}")));
    text.push_lines(found.error.iter().map(|error| format!("    would fail: {}", first_line(error))));
}

/// Formats a part of a document on one line.
fn inline(document: &bson::Document) -> String {
    if document.is_empty() { "nothing".to_owned() } else { ExtendedDocument(document).to_string() }
}

pub(super) fn undo_text(undo: Undo) -> String {
    match undo {
        Undo::Journal => "exact, from the journal".to_owned(),
        Undo::Code => "by its own code".to_owned(),
        Undo::Irreversible(why) => format!("none: {why}"),
    }
}
