use std::fmt::Write as _;

use clap::Args;
use migrator::{ActionKind, DownPlan, PlannedAction, Undo, UpPlan, UpRequest};

use super::apply::UpRange;
use super::desk::Desk;
use super::told::{Told, count};
use crate::cli::Ended;

#[derive(Debug, Clone, Args)]
pub(super) struct Plan {
    #[command(flatten)]
    pub(super) range: UpRange,
}

pub(super) async fn up(desk: &Desk, request: &UpRequest) -> Result<Told, Ended> {
    let plan = desk.migrator.plan_up(request).await?;
    Ok(Told::new(&plan, up_text(&plan)))
}

fn up_text(plan: &UpPlan) -> String {
    let mut text = String::new();
    for id in &plan.imports {
        let _ = writeln!(text, "take over {id} from the earlier tool's ledger");
    }
    for action in &plan.actions {
        action_text(&mut text, action);
    }
    for (ids, what) in
        [(&plan.not_in_context, "not in this context"), (&plan.unknown, "applied by a newer program")]
    {
        if !ids.is_empty() {
            let _ = writeln!(text, "{what}: {}", ids.join(", "));
        }
    }
    if plan.actions.is_empty() && plan.imports.is_empty() {
        let _ = writeln!(text, "nothing to do: {} applied", plan.already);
    } else {
        let _ = writeln!(text, "nothing was changed; `field-notes migrate up` does it");
    }
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
        let _ = writeln!(text, "    programs that do not know it must not run afterwards");
    }
    if !action.comes_before.is_empty() {
        let _ = writeln!(
            text,
            "    its place is before {}, with which it has nothing in common",
            action.comes_before.join(", ")
        );
    }
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
        let asked = if plan.asked { "" } else { " (depends on what was asked for)" };
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
