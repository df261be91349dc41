//! What is different from the original, in one table: `docs/differences.md` is made from it, and each difference names a
//! test that shows it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

/// Routes and answers.
mod answers;
/// What is stored, and what becomes of it.
mod content;
/// Who may do what, and who is believed.
mod people;
/// Configuration, start-up, stores and migrations.
mod running;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Why it is different.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// The original is wrong there.
    Fix,
    /// The original has no such thing.
    Extend,
    /// The original has it, and this has not.
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
    /// Never changes once it is out: links and talk go by it.
    id: &'static str,
    kind: Kind,
    /// One line of Markdown.
    line: &'static str,
    /// The name of a test that shows it.
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
    ("Answers", answers::ANSWERS),
    ("Errors", answers::ERRORS),
    ("Who may do what", people::RIGHTS),
    ("Signing in", people::IDENTITY),
    ("Limits", people::LIMITS),
    ("Stories, projects and pages", content::ITEMS),
    ("Sections and links", content::SITE),
    ("Slugs", content::SLUGS),
    ("Deleting", content::DELETING),
    ("Configuration and start-up", running::START),
    ("Migrations", running::MIGRATIONS),
];

const HEAD: &str = "\
# Differences from the original

Where this backend answers otherwise than the Python one that it replaces. What is not listed is the same: routes, JSON
keys, envelopes, status codes, the order of checks.

`fix`: the original is wrong there. `extend`: it has no such thing. `without`: it has it, and this has not. Each line ends
with the test that shows it. Made from `tests/differences/` by `make differences`.
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
        write!(text, "\n## {title}\n\n| Name | Kind | What |\n|---|---|---|\n").unwrap();
        for Difference { id, kind, line, test } in *differences {
            let line = line.replace('|', "\\|");
            writeln!(text, "| <a id=\"{id}\"></a>`{id}` | {} | {line} (`{test}`) |", kind.word()).unwrap();
        }
    }
    text
}

#[test]
fn the_kept_document_is_the_one_of_the_table() {
    let path = root().join("docs/differences.md");
    if env::var_os("WRITE_DIFFERENCES").is_some() {
        fs::write(&path, document()).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == document(), "docs/differences.md is not what the table says: run `make differences`");
}

#[test]
fn each_is_one_line_under_a_name_of_its_own() {
    let mut ids = BTreeSet::new();
    for Difference { id, line, .. } in all() {
        assert!(ids.insert(id), "{id} is there twice");
        assert!(
            !id.is_empty() && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
            "{id}"
        );
        assert!(
            line.ends_with('.') && !line.contains('\n') && line.len() < 300,
            "{id}: one line, with a full stop"
        );
    }
    let kinds: BTreeSet<_> = all().map(|difference| difference.kind).collect();
    assert!(ids.len() > 50 && kinds.len() == 3, "{}", ids.len());
}

#[test]
fn each_is_shown_by_a_test_that_is_there() {
    let mut names = BTreeSet::new();
    for folder in ["src", "tests", "migrations", "crates"] {
        collect(&root().join(folder), &mut names);
    }
    assert!(names.contains("each_is_shown_by_a_test_that_is_there") && !names.contains("collect"));
    let lost: Vec<_> = all().filter(|difference| !names.contains(difference.test)).collect();
    let lost: Vec<_> =
        lost.iter().map(|lost| format!("{}: there is no test {}", lost.id, lost.test)).collect();
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

/// The names of all tests under a folder: functions that are marked, or stand in a macro that makes tests of them.
fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let (mut marked, mut in_macro) = (false, false);
            for line in text.lines() {
                let code = line.trim_start();
                in_macro = match line {
                    "}" => false,
                    _ => in_macro || line.starts_with("testkit::") && line.ends_with("! {"),
                };
                let function = code.strip_prefix("async ").unwrap_or(code).strip_prefix("fn ");
                let name = function.and_then(|rest| rest.split('(').next());
                // Within the macros tests are indented once, what they hold deeper.
                let made = in_macro && line.len() - code.len() == 4;
                if let (Some(name), true) = (name, marked || made) {
                    names.insert(name.to_owned());
                }
                marked = code == "#[test]"
                    || code.starts_with("#[tokio::test")
                    || marked && code.starts_with("#[");
            }
        }
    }
}
