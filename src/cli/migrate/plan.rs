use std::fmt::Write as _;

use clap::Args;
use migrator::{
    ActionKind, DownPlan, MigrationPreview, PlannedAction, Preview, PreviewPath, Undo, UpPlan, UpRequest,
};
use serde_json::json;

use super::apply::UpRange;
use super::context::Context;
use super::output::{Output, count, size};
use crate::cli::CliError;

#[derive(Debug, Clone, Args)]
pub(super) struct Plan {
    #[command(flatten)]
    pub(super) range: UpRange,
}

pub(super) async fn up(context: &Context, request: &UpRequest) -> Result<Output, CliError> {
    let plan = context.migrator.plan_up(request).await?;
    let missing = context.migrator.missing_env(request).await?;
    if !missing.is_empty() {
        return Err(migrator::Error::MissingEnv(missing).into());
    }
    let preview = context.migrator.preview(request).await?;
    let text = up_text(&plan, &preview);
    Ok(Output::new(&json!({ "plan": plan, "preview": preview }), text))
}

fn up_text(plan: &UpPlan, preview: &Preview) -> String {
    let mut text = String::new();
    for id in &plan.imports {
        let _ = writeln!(text, "take over {id} from the earlier tool's ledger");
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
            let _ = writeln!(text, "{what}: {}", ids.join(", "));
        }
    }
    if plan.actions.is_empty() && plan.imports.is_empty() {
        let _ = writeln!(text, "nothing to do: {} applied", plan.already_applied);
        return text;
    }
    match (preview.path, &preview.not_tried) {
        _ if plan.actions.is_empty() => {}
        (PreviewPath::Tried, _) => {
            text.push_str("this was tried in a transaction that was ended without effect\n");
        }
        (_, why) => {
            let why = why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            let _ = writeln!(text, "this was counted on the database as it is{why}");
        }
    }
    text.push_str("nothing was changed; `field-notes migrate up` does it\n");
    text
}

fn action_text(text: &mut String, action: &PlannedAction) {
    let verb = match action.kind {
        ActionKind::Apply => "apply",
        ActionKind::Resume => "go on with",
        ActionKind::Retry => "try again",
        ActionKind::FinishUndo => "finish taking back",
    };
    let _ = writeln!(text, "{verb} {}: {}", action.id, action.summary);
    let journal = if action.journal { "" } else { ", no journal" };
    let kind = format!("{:?}, {:?}{journal}", action.phase, action.mode).to_lowercase();
    let _ = writeln!(text, "    {kind}; undo: {}", undo_text(action.undo));
    if action.breaks_older {
        text.push_str("    programs that do not know it must not run afterwards\n");
    }
    if let Some(why) = action.backup {
        let _ = writeln!(text, "    a backup is taken before it: {why}");
    }
    if !action.comes_before.is_empty() {
        let others = action.comes_before.join(", ");
        let _ = writeln!(text, "    its place is before {others}, with which it has nothing in common");
    }
}

fn preview_text(text: &mut String, found: &MigrationPreview) {
    for step in &found.steps {
        let most = if step.exact { "" } else { "at most " };
        let _ = writeln!(text, "    {}: {most}{}", step.step, step.matched);
        let _ = writeln!(text, "        {}", step.text);
        // What is inserted is told by the step.
        for sample in
            step.samples.iter().filter(|sample| !sample.before.is_empty() || !sample.id.eq(&bson::Bson::Null))
        {
            let id = sample.id.to_string();
            let _ = writeln!(text, "        {id}: {} → {}", shown(&sample.before), shown(&sample.after));
        }
    }
    if found.documents > 0 {
        let documents = count(usize::try_from(found.documents).unwrap_or(usize::MAX), "document");
        let _ = writeln!(
            text,
            "    in all {documents}, a journal of about {}, about {} ms ({})",
            size(found.journal_bytes),
            found.estimate_ms,
            found.estimate_from
        );
    }
    for warning in &found.warnings {
        let _ = writeln!(text, "    warning: {warning}");
    }
    if !found.without.is_empty() {
        let _ = writeln!(text, "    looked at without what {} would change", found.without.join(", "));
    }
    for lint in &found.lints {
        let _ = writeln!(text, "    {lint}");
    }
    if let Some(error) = &found.error {
        let _ = writeln!(text, "    would fail: {}", error.lines().next().unwrap_or_default());
    }
}

/// A part of a document, on one line.
fn shown(document: &bson::Document) -> String {
    if document.is_empty() { "nothing".to_owned() } else { document.to_string() }
}

pub(super) fn undo_text(undo: Undo) -> String {
    match undo {
        Undo::Journal => "from its journal, exactly".to_owned(),
        Undo::Code => "by code of its own".to_owned(),
        Undo::Irreversible(why) => format!("none: {why}"),
    }
}

pub(super) fn down_text(plans: &[DownPlan]) -> String {
    let mut text = String::new();
    for plan in plans {
        let asked = if plan.requested { "" } else { " (depends on what was asked for)" };
        let _ = writeln!(text, "take back {}{asked}: {}", plan.id, plan.summary);
        if !plan.losses.is_empty() {
            let certain = if plan.certain { "this is lost" } else { "as things are now, this is lost" };
            let _ = writeln!(text, "    {certain}:");
        }
        for loss in &plan.losses {
            let _ = writeln!(text, "      {loss}");
        }
    }
    let _ = writeln!(text, "{} in all", count(plans.len(), "migration"));
    text
}
