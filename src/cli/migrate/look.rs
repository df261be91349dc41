use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Subcommand, ValueEnum};
use migrator::{Declaration, HistoryRequest, LogRecord, MigrationDetails, Source, StatusEntry};
use serde_json::json;

use super::context::Context;
use super::output::{Output, at, count};
use super::status;
use super::{graph, plan};
use crate::cli::CliError;
use crate::cli::age::age;
use crate::clock::{Clock as _, SystemClock};

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Verb {
    /// List applied and pending migrations
    #[command(after_help = "Examples:
  field-notes migrate status
  field-notes migrate status --json")]
    Status,
    /// Say what an up would do, and do nothing
    #[command(after_help = "Examples:
  field-notes migrate plan
  field-notes migrate plan --to 0003 --json

It reads only: no document, no collection and no entry of the ledger is written.")]
    Plan(plan::Plan),
    /// Show all that is known of one migration
    #[command(after_help = "Examples:
  field-notes migrate show 0004
  field-notes migrate show 0004_backfill_section_id --json")]
    Show {
        /// Which; the beginning of its id is enough
        id: String,
    },
    /// Show what was done, run by run
    #[command(after_help = "Examples:
  field-notes migrate history
  field-notes migrate history --verbose --limit 20
  field-notes migrate history --since 30d
  field-notes migrate history --since 2026-11-01 --of 0004")]
    History(History),
    /// Name what is applied and comes last
    #[command(after_help = "Examples:
  field-notes migrate current
  field-notes migrate current --json")]
    Current,
    /// Name what comes last in this program; the exit code is 7 if that is more than one
    #[command(after_help = "Examples:
  field-notes migrate heads")]
    Heads,
    /// Draw what depends on what
    #[command(after_help = "Examples:
  field-notes migrate graph
  field-notes migrate graph --format dot | dot -Tsvg > migrations.svg
  field-notes migrate graph --format mermaid")]
    Graph {
        /// How
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
}

#[derive(Debug, Clone, Args)]
pub(super) struct History {
    /// Say who, where, and what each step did
    #[arg(short, long)]
    verbose: bool,
    /// Not before this: an age as in 30d, a day, or an instant
    #[arg(long, value_name = "WHEN", value_parser = instant)]
    since: Option<DateTime<Utc>>,
    /// The latest so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Of this migration; the beginning of its id is enough
    #[arg(long, value_name = "ID")]
    of: Option<String>,
    /// Of this run; the beginning of its id is enough
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

/// How a graph is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For a terminal
    Text,
    /// For Graphviz
    Dot,
    /// For documents
    Mermaid,
}

fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(age) = age(text) {
        return SystemClock
            .now()
            .checked_sub_signed(age)
            .ok_or_else(|| "so long ago there was nothing".to_owned());
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|day| day.and_hms_opt(0, 0, 0));
    match (day, DateTime::parse_from_rfc3339(text)) {
        (Some(midnight), _) => Ok(midnight.and_utc()),
        (None, Ok(instant)) => Ok(instant.to_utc()),
        (None, Err(_)) => {
            Err("an age as in 30d, a day as in 2026-11-20, or an instant as in 2026-11-20T08:00:00Z"
                .to_owned())
        }
    }
}

impl Verb {
    pub(super) async fn run(self, context: &Context) -> Result<Output, CliError> {
        let migrator = &context.migrator;
        match self {
            Self::Status => {
                let status = migrator.status().await?;
                let view = status::View::from(status);
                Ok(Output::new(&view, view.text()))
            }
            Self::Plan(wanted) => plan::up(context, &wanted.range.request()).await,
            Self::Show { id } => {
                let shown = migrator.show(&id).await?;
                Ok(Output::new(&shown, shown_text(&shown)))
            }
            Self::History(wanted) => history(context, wanted).await,
            Self::Current => {
                let current = migrator.current().await?;
                let text = current.iter().fold(String::new(), |text, entry| text + &one_line(entry) + "\n");
                let text = if text.is_empty() { "nothing is applied\n".to_owned() } else { text };
                Ok(Output::new(&json!({ "current": current }), text))
            }
            Self::Heads => {
                let heads = migrator.heads();
                let mut text = heads.iter().fold(String::new(), |text, id| text + id + "\n");
                let several = heads.len() > 1;
                if several {
                    text.push_str("  run `field-notes migrate merge` to write one that joins them\n");
                }
                Ok(Output::new(&json!({ "heads": heads }), text).with_code(if several { 7 } else { 0 }))
            }
            Self::Graph { format } => {
                let status = migrator.status().await?;
                let drawing = graph::GraphView::of(migrator.graph(), &status);
                Ok(Output::new(&drawing, drawing.drawn(format)))
            }
        }
    }
}

fn one_line(entry: &StatusEntry) -> String {
    let when = entry.applied_at.map(|when| format!(" ({})", at(when))).unwrap_or_default();
    let summary = if entry.summary.is_empty() { String::new() } else { format!(": {}", entry.summary) };
    format!("{}{when}{summary}", entry.id)
}

fn shown_text(shown: &MigrationDetails) -> String {
    let summary = shown.declared.as_ref().map(|declared| format!(": {}", declared.summary));
    let mut text = format!("{}{}\n", shown.id, summary.unwrap_or_default());
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {name:<14}{value}");
        }
    };
    match &shown.declared {
        None => line("", "not known to this program"),
        Some(declared) => declared_lines(declared, &mut line),
    }
    line("before", &shown.dependents.join(", "));
    let state = match (shown.state, shown.live) {
        (None, _) => "never ran".to_owned(),
        (Some(state), true) => format!("{state}, at work"),
        (Some(state), false) => state.to_string(),
    };
    line("state", &state);
    line("applied at", &shown.applied_at.map(at).unwrap_or_default());
    let by = shown.source.map_or("", |source| match source {
        Source::Native => "this engine",
        Source::Imported => "an earlier tool; there is no journal",
        Source::Stamped => "hand: nothing was run, and there is no journal",
    });
    line("by", by);
    line("run", shown.applied_run.as_deref().unwrap_or_default());
    line("took", &shown.duration_ms.map(|ms| format!("{ms} ms")).unwrap_or_default());
    line("attempts", &if shown.attempts > 0 { shown.attempts.to_string() } else { String::new() });
    for step in &shown.counts {
        line("step", &step.to_string());
    }
    for warning in &shown.warnings {
        line("warning", warning);
    }
    line("failed in", shown.step.as_deref().unwrap_or_default());
    line("error", shown.error.as_deref().unwrap_or_default());
    if !shown.log.is_empty() {
        text.push_str("\nWhat happened:\n");
        records(&mut text, &shown.log, true);
    }
    text
}

fn declared_lines(declared: &Declaration, line: &mut impl FnMut(&str, &str)) {
    line("after", &declared.depends_on.join(", "));
    let breaks = if declared.breaks_older { ", older programs must not run with it" } else { "" };
    let phase = format!("{:?}{breaks}", declared.phase).to_lowercase();
    line("phase", &phase);
    line("mode", &format!("{:?}", declared.mode).to_lowercase());
    line("undo", &plan::undo_text(declared.undo));
    line("touches", &declared.touches.join(", "));
    line("contexts", &declared.contexts.join(", "));
    line("needs", &declared.requires_env.join(", "));
    line(
        "time limit",
        &declared.time_limit.map(|limit| format!("{} s", limit.as_secs())).unwrap_or_default(),
    );
}

async fn history(context: &Context, wanted: History) -> Result<Output, CliError> {
    let History { verbose, since, limit, of, run } = wanted;
    let request = HistoryRequest {
        migration: of,
        run,
        since: since.map(bson::DateTime::from_chrono),
        limit,
        progress: verbose,
    };
    let log = context.migrator.history(&request).await?;
    let mut text = String::new();
    let mut run = None;
    for record in &log {
        if run.is_none_or(|run| run != &record.by.run_id) {
            let by = &record.by;
            let _ = writeln!(text, "run {}", by.run_id);
            if verbose {
                let revision = by.git_revision.as_deref().map(|r| format!(" ({r})")).unwrap_or_default();
                let version = &by.app_version;
                let _ = writeln!(
                    text,
                    "  by {} on {}, process {}, version {version}{revision}",
                    by.actor, by.host, by.pid
                );
            }
            run = Some(&record.by.run_id);
        }
        records(&mut text, std::slice::from_ref(record), verbose);
    }
    if log.is_empty() {
        text.push_str("nothing happened\n");
    }
    Ok(Output::new(&json!({ "records": log }), text))
}

fn records(text: &mut String, log: &[LogRecord], verbose: bool) {
    for record in log {
        let migration = record.migration.as_deref().unwrap_or("");
        let _ = write!(text, "  {}  {:<12} {migration}", at(record.at), record.event.replace('_', " "));
        if let Some(ms) = record.duration_ms {
            let _ = write!(text, " in {ms} ms");
        }
        if let Some(attempt) = record.attempt.filter(|attempt| *attempt > 1) {
            let _ = write!(text, ", attempt {attempt}");
        }
        if !verbose && !record.warnings.is_empty() {
            let _ = write!(text, " [{}]", count(record.warnings.len(), "warning"));
        }
        for (name, value) in [("to", &record.to), ("held by", &record.holder), ("reason", &record.reason)] {
            if let Some(value) = value {
                let _ = write!(text, ", {name}: {value}");
            }
        }
        if let Some(error) = &record.error {
            let _ = write!(text, ": {}", error.lines().next().unwrap_or_default());
        }
        text.push('\n');
        if verbose {
            for step in &record.counts {
                let _ = writeln!(text, "      {step}");
            }
            for warning in &record.warnings {
                let _ = writeln!(text, "      warning: {warning}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_ages_days_or_instants() {
        assert_eq!(instant("2026-11-01").unwrap().to_rfc3339(), "2026-11-01T00:00:00+00:00");
        assert_eq!(instant("2026-11-01T08:00:00+02:00").unwrap().to_rfc3339(), "2026-11-01T06:00:00+00:00");
        assert!(instant("30d").unwrap() < SystemClock.now());
        for bad in ["", "yesterday", "2026-13-01", "2026-11-01 08:00"] {
            assert!(instant(bad).is_err(), "{bad:?}");
        }
    }
}
