use std::fmt::Write as _;

use chrono::SecondsFormat;
use migrator::{Status, StatusEntry};
use serde::Serialize;

/// Where migrations stand, as it is shown.
#[derive(Debug, Default, Serialize)]
pub(super) struct View {
    applied: Vec<Entry>,
    pending: Vec<Entry>,
    failed: Vec<Entry>,
    unknown: Vec<Entry>,
    not_in_context: Vec<Entry>,
}

#[derive(Debug, Default, Serialize)]
struct Entry {
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

impl From<Status> for View {
    fn from(status: Status) -> Self {
        let entries = |group: Vec<StatusEntry>| group.into_iter().map(Entry::from).collect();
        Self {
            applied: entries(status.applied),
            pending: entries(status.pending),
            failed: entries(status.failed),
            unknown: entries(status.unknown),
            not_in_context: entries(status.not_in_context),
        }
    }
}

impl From<StatusEntry> for Entry {
    fn from(entry: StatusEntry) -> Self {
        let instant = |at: bson::DateTime| {
            let at = chrono::DateTime::from_timestamp_millis(at.timestamp_millis());
            at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
        };
        // Of the states of pending ones only those need a word that are not simply waiting.
        let state = match entry.state {
            Some(migrator::State::Running) if entry.live => Some("running"),
            Some(migrator::State::RollingBack) if entry.live => Some("rolling back"),
            Some(migrator::State::Running | migrator::State::RollingBack | migrator::State::Interrupted) => {
                Some("interrupted")
            }
            Some(migrator::State::Applied | migrator::State::Failed | migrator::State::RolledBack) | None => {
                None
            }
        };
        Self {
            id: entry.id,
            applied_at: entry.applied_at.and_then(instant),
            source: entry.source.map(|source| match source {
                migrator::Source::Native => "native",
                migrator::Source::Imported => "imported",
                migrator::Source::Stamped => "stamped",
            }),
            state,
            error: entry.error,
            warnings: entry.warnings,
        }
    }
}

impl View {
    /// For people.
    pub(super) fn text(&self) -> String {
        let mut out = String::from("Applied migrations:\n");
        list(&mut out, "✓", &self.applied);
        out.push_str("\nPending migrations:\n");
        list(&mut out, "·", &self.pending);
        if !self.failed.is_empty() {
            out.push_str("\nFailed migrations:\n");
            list(&mut out, "✗", &self.failed);
        }
        if !self.unknown.is_empty() {
            out.push_str("\nUnknown migrations (applied, not known to this program):\n");
            list(&mut out, "?", &self.unknown);
        }
        if !self.not_in_context.is_empty() {
            out.push_str("\nNot in this context:\n");
            list(&mut out, "-", &self.not_in_context);
        }
        out
    }
}

fn list(out: &mut String, mark: &str, entries: &[Entry]) {
    if entries.is_empty() {
        out.push_str("  (none)\n");
    }
    for Entry { id, applied_at, source: _, state, error, warnings } in entries {
        let _ = write!(out, "  {mark} {id}");
        if let Some(applied_at) = applied_at {
            let _ = write!(out, " ({applied_at})");
        }
        if let Some(state) = state {
            let _ = write!(out, " ({state})");
        }
        if !warnings.is_empty() {
            let _ =
                write!(out, " [{} warning{}]", warnings.len(), if warnings.len() == 1 { "" } else { "s" });
        }
        if let Some(error) = error {
            let _ = write!(out, ": {error}");
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, applied_at: Option<&str>) -> Entry {
        Entry { id: id.to_owned(), applied_at: applied_at.map(str::to_owned), ..Entry::default() }
    }

    #[test]
    fn applied_ones_are_listed_as_in_the_guide() {
        let view = View { applied: vec![entry("0001_a", Some("2026-01-02T03:04:05Z"))], ..View::default() };
        let expected =
            "Applied migrations:\n  ✓ 0001_a (2026-01-02T03:04:05Z)\n\nPending migrations:\n  (none)\n";
        assert_eq!(view.text(), expected);
    }

    #[test]
    fn other_groups_are_shown_when_there_are_any() {
        let failed =
            Entry { error: Some("no slug".into()), warnings: vec!["w".into()], ..entry("0002_b", None) };
        let view = View {
            failed: vec![failed],
            unknown: vec![entry("0009_x", None)],
            pending: vec![entry("0001_a", None)],
            ..View::default()
        };
        let text = view.text();
        assert!(text.contains("\nPending migrations:\n  · 0001_a\n"), "{text}");
        assert!(text.contains("\nFailed migrations:\n  ✗ 0002_b [1 warning]: no slug\n"), "{text}");
        assert!(text.contains("  ? 0009_x\n"), "{text}");
        let json = serde_json::to_value(&view).unwrap();
        assert_eq!(json["pending"], serde_json::json!([{ "id": "0001_a" }]));
        assert_eq!(json["applied"], serde_json::json!([]));
        assert_eq!(json["failed"][0]["error"], "no slug");
    }
}
