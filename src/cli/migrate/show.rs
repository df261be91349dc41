use clap::Args;
use migrator::{Declaration, MigrationDetails, Source};

use super::history::records_text;
use super::plan::undo_text;
use super::{CliError, Context, Lines, Output, Run, time};

/// Show the definition, the state and the log of one migration
///
/// Examples:
///   field-notes migrate show 0004
///   field-notes migrate show 0004_backfill_section_id --json
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct ShowArgs {
    /// Migration (id or unique prefix)
    id: String,
}

impl Run for ShowArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let shown = context.migrator.show(&self.id).await?;
        Ok(Output::new(&shown, text(&shown)))
    }
}

fn text(shown: &MigrationDetails) -> String {
    let mut rows = Vec::new();
    if let Some(declared) = &shown.declared {
        rows.extend(declared_rows(declared));
    } else {
        rows.push(("", "not known to this program".to_owned()));
    }
    let state = match (shown.state, shown.live) {
        (None, _) => "never ran".to_owned(),
        (Some(state), true) => format!("{state}, live"),
        (Some(state), false) => state.to_string(),
    };
    let source = shown.source.map_or("", |source| match source {
        Source::Native => "this engine",
        Source::Imported => "an earlier tool, without a journal",
        Source::Stamped => "stamp: nothing was run, and there is no journal",
    });
    let attempts = (shown.attempts > 0).then(|| shown.attempts.to_string());
    rows.extend([
        ("before", shown.dependents.join(", ")),
        ("state", state),
        ("applied at", shown.applied_at.map(time).unwrap_or_default()),
        ("by", source.to_owned()),
        ("run", shown.applied_run.clone().unwrap_or_default()),
        ("took", shown.duration_ms.map(|ms| format!("{ms} ms")).unwrap_or_default()),
        ("attempts", attempts.unwrap_or_default()),
    ]);
    rows.extend(shown.counts.iter().map(|step| ("step", step.to_string())));
    rows.extend(shown.warnings.iter().map(|warning| ("warning", warning.clone())));
    rows.push(("failed in", shown.step.clone().unwrap_or_default()));
    rows.push(("error", shown.error.clone().unwrap_or_default()));

    let summary =
        shown.declared.as_ref().map(|declared| format!(": {}", declared.meta.summary)).unwrap_or_default();
    let mut text = format!("{}{summary}\n", shown.id);
    text.push_lines(
        rows.iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("  {name:<14}{value}")),
    );
    if !shown.log.is_empty() {
        text.push_str("\nLog:\n");
        records_text(&mut text, &shown.log, true);
    }
    text
}

fn declared_rows(declared: &Declaration) -> [(&'static str, String); 8] {
    let meta = &declared.meta;
    let breaks = if meta.breaks_older { ", older programs must not run with it" } else { "" };
    let time_limit = meta.time_limit.map(|limit| format!("{} s", limit.as_secs()));
    [
        ("after", meta.depends_on.join(", ")),
        ("phase", format!("{:?}{breaks}", meta.phase).to_lowercase()),
        ("mode", format!("{:?}", meta.mode).to_lowercase()),
        ("undo", undo_text(declared.undo)),
        ("touches", meta.touches.join(", ")),
        ("contexts", meta.contexts.join(", ")),
        ("needs", meta.requires_env.join(", ")),
        ("time limit", time_limit.unwrap_or_default()),
    ]
}
