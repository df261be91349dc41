use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Args;
use migrator::{Source, State, Status, StatusEntry};
use serde::Serialize;

use super::{CliError, Context, Lines, Output, Run, count, time};

/// List applied and pending migrations
///
/// Examples:
///   field-notes migrate status
///   field-notes migrate status --json
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct StatusArgs;

impl Run for StatusArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let Status { applied, pending, failed, unknown, not_in_context } = context.migrator.status().await?;
        let groups = [applied, pending, failed, unknown, not_in_context];
        let groups = groups.map(|group| group.into_iter().map(EntryView::from).collect());
        Ok(Output::new(&value(&groups), text(&groups)))
    }
}

/// The entries of each group.
type Groups = [Vec<EntryView>; 5];
/// The name in JSON, the title and the mark of each group.
const GROUPS: [(&str, &str, &str); 5] = [
    ("applied", "Applied migrations", "✓"),
    ("pending", "\nPending migrations", "·"),
    ("failed", "\nFailed migrations", "✗"),
    ("unknown", "\nUnknown migrations (applied, not known to this program)", "?"),
    ("not_in_context", "\nNot in this context", "-"),
];

fn value(groups: &Groups) -> BTreeMap<&str, &[EntryView]> {
    GROUPS.iter().zip(groups).map(|((name, ..), entries)| (*name, entries.as_slice())).collect()
}

fn text(groups: &Groups) -> String {
    let mut text = String::new();
    for (i, ((_, title, mark), entries)) in GROUPS.iter().zip(groups).enumerate() {
        let is_always_shown = i < 2;
        if !entries.is_empty() {
            text.push_line(format!("{title}:"));
            for entry in entries {
                entry.write(&mut text, mark);
            }
        } else if is_always_shown {
            text.push_line(format!("{title}:\n  (none)"));
        }
    }
    text
}

#[derive(Debug, Default, Serialize)]
struct EntryView {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    applied_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl From<StatusEntry> for EntryView {
    fn from(entry: StatusEntry) -> Self {
        // The group says the rest.
        let state = match entry.state {
            Some(State::Running) if entry.live => Some("running"),
            Some(State::RollingBack) if entry.live => Some("rolling back"),
            Some(State::Failed | State::RollingBack | State::Interrupted) if entry.retry => {
                Some("resumed by the next run")
            }
            Some(State::Running | State::RollingBack | State::Interrupted) => Some("interrupted"),
            Some(State::Applied | State::Failed | State::RolledBack) | None => None,
        };
        Self {
            id: entry.id,
            applied_at: entry.applied_at.map(time),
            source: entry.source.map(Source::name),
            state,
            error: entry.error,
            warnings: entry.warnings,
        }
    }
}

impl EntryView {
    fn write(&self, text: &mut String, mark: &str) {
        let Self { id, applied_at, source: _, state, error, warnings } = self;
        _ = write!(text, "  {mark} {id}");
        for detail in applied_at.iter().map(String::as_str).chain(*state) {
            _ = write!(text, " ({detail})");
        }
        if !warnings.is_empty() {
            _ = write!(text, " [{}]", count(warnings.len(), "warning"));
        }
        if let Some(error) = error {
            _ = write!(text, ": {error}");
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, applied_at: Option<&str>) -> EntryView {
        EntryView { id: id.to_owned(), applied_at: applied_at.map(str::to_owned), ..EntryView::default() }
    }

    #[test]
    fn status_lists_applied_and_pending() {
        let groups = [vec![entry("0001_a", Some("2026-01-02T03:04:05Z"))], vec![], vec![], vec![], vec![]];
        let expected =
            "Applied migrations:\n  ✓ 0001_a (2026-01-02T03:04:05Z)\n\nPending migrations:\n  (none)\n";
        assert_eq!(text(&groups), expected);
    }

    #[test]
    fn status_lists_other_groups_if_not_empty() {
        let failed =
            EntryView { error: Some("no slug".into()), warnings: vec!["w".into()], ..entry("0002_b", None) };
        let groups = [vec![], vec![entry("0001_a", None)], vec![failed], vec![entry("0009_x", None)], vec![]];
        let text = text(&groups);
        assert!(text.contains("\nPending migrations:\n  · 0001_a\n"), "{text}");
        assert!(text.contains("\nFailed migrations:\n  ✗ 0002_b [1 warning]: no slug\n"), "{text}");
        assert!(text.contains("  ? 0009_x\n"), "{text}");
        let json = serde_json::to_value(value(&groups)).unwrap();
        assert_eq!(json["pending"], serde_json::json!([{ "id": "0001_a" }]));
        assert_eq!(json["applied"], serde_json::json!([]));
        assert_eq!(json["failed"][0]["error"], "no slug");
    }
}
