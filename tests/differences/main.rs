//! The table of differences from the original. `docs/differences.md` is generated from it, and each difference names a test
//! that shows it.

#![expect(clippy::unwrap_used, reason = "a test that cannot continue fails")]

/// Routes and responses.
mod answers;
/// Stored content.
mod content;
/// Reactions and comments.
mod engagement;
/// Configuration, start-up, stores and migrations.
mod operation;
/// Permissions and authentication.
mod people;
/// Pictures and videos.
mod video;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

/// The reason for a difference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// The original is wrong.
    Fix,
    /// The original lacks the feature.
    Extend,
    /// This backend lacks a feature of the original.
    Without,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Fix => "fix",
            Self::Extend => "extend",
            Self::Without => "without",
        }
    }
}

/// One difference.
struct Difference {
    /// The anchor in the document; never changes once published, because links use it.
    id: &'static str,
    kind: Kind,
    /// The description, one line of Markdown.
    line: &'static str,
    /// The name of a test that shows the difference.
    test: &'static str,
}

const fn fix(id: &'static str, line: &'static str, test: &'static str) -> Difference {
    Difference { id, kind: Kind::Fix, line, test }
}

const fn extend(id: &'static str, line: &'static str, test: &'static str) -> Difference {
    Difference { id, kind: Kind::Extend, line, test }
}

const fn without(id: &'static str, line: &'static str, test: &'static str) -> Difference {
    Difference { id, kind: Kind::Without, line, test }
}

const GROUPS: &[(&str, &[Difference])] = &[
    ("Routes", answers::ROUTES),
    ("Uploads", answers::UPLOADS),
    ("Responses", answers::ANSWERS),
    ("Errors", answers::ERRORS),
    ("Permissions", people::RIGHTS),
    ("Authentication", people::IDENTITY),
    ("Limits", people::LIMITS),
    ("Stories, projects and pages", content::ITEMS),
    ("Sections and links", content::SITE),
    ("Slugs", content::SLUGS),
    ("Deleting", content::DELETING),
    ("Reactions and comments", engagement::ENGAGEMENT),
    ("Video jobs", video::JOBS),
    ("Configuration and start-up", operation::START),
    ("Migrations", operation::MIGRATIONS),
];

/// Anchors of differences that are no more, each with the difference in whose line it stays, because links use it.
const FORMER: &[(&str, &str)] =
    &[("no-asset-browser", "asset-browser"), ("no-engagement", "engagement-prefix")];

const HEAD: &str = "\
# Differences from the original

Differences between this backend and the Python one that it replaces. Everything else is the same: routes, JSON keys,
envelopes, status codes, the order of checks.

`fix`: the original is wrong. `extend`: the original lacks the feature. `without`: this backend lacks it. Each line ends with
the test that shows it. Generated from `tests/differences/` by `make differences`.
";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn all() -> impl Iterator<Item = &'static Difference> {
    GROUPS.iter().flat_map(|(_, differences)| *differences)
}

fn document() -> String {
    let mut text = HEAD.to_owned();
    for (title, differences) in GROUPS {
        write!(text, "\n## {title}\n\n| Id | Kind | Difference |\n|---|---|---|\n").unwrap();
        for Difference { id, kind, line, test } in *differences {
            let line = line.replace('|', "\\|");
            text.push_str("| ");
            for anchor in FORMER.iter().filter(|(_, now)| now == id).map(|(former, _)| former).chain([id]) {
                write!(text, "<a id=\"{anchor}\"></a>").unwrap();
            }
            writeln!(text, "`{id}` | {} | {line} (`{test}`) |", kind.word()).unwrap();
        }
    }
    text
}

#[test]
fn document_matches_table() {
    let path = root().join("docs/differences.md");
    if env::var_os("WRITE_DIFFERENCES").is_some() {
        fs::write(&path, document()).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == document(), "docs/differences.md is out of date: run `make differences`");
}

#[test]
fn every_difference_is_one_line_with_unique_id() {
    let mut ids = BTreeSet::new();
    for Difference { id, line, .. } in all() {
        assert!(ids.insert(id), "{id} is not unique");
        assert!(
            !id.is_empty() && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
            "{id}"
        );
        assert!(
            line.ends_with('.') && !line.contains('\n') && line.len() < 300,
            "{id}: must be one line with a full stop"
        );
    }
    for (former, now) in FORMER {
        assert!(!ids.contains(former) && ids.contains(now), "{former}");
    }
    let kinds: BTreeSet<_> = all().map(|difference| difference.kind).collect();
    assert!(ids.len() > 50 && kinds.len() == 3, "{}", ids.len());
}

#[test]
fn every_difference_names_an_existing_test() {
    let names = testkit::test_names(&root());
    let missing: Vec<_> = all()
        .filter(|difference| !names.contains(difference.test))
        .map(|missing| format!("{}: no test named {}", missing.id, missing.test))
        .collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
