//! Reads the sources and holds the rules of the house: who may use what, described modules, files of a readable length.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

const MOST_LINES: usize = 400;

/// A layer, and what its sources may not name. `startup` and `cli` may use everything.
const LAYERS: &[(&str, &[&str])] = &[
    (
        "src/domain",
        &[
            "tokio",
            "axum::",
            "docstore",
            "serde_json",
            "Utc::now",
            "SystemTime",
            "crate::repository",
            "crate::service",
            "crate::http",
            "crate::identity",
        ],
    ),
    ("src/repository", &["axum", "crate::http", "crate::service", "crate::identity", "Utc::now"]),
    ("src/identity", &["axum", "docstore", "bson::", "crate::http", "crate::service", "Utc::now"]),
    // What is read in a task of its own is not seen by those who keep what is made of it.
    ("src/service", &["tokio::spawn", "bson", "docstore", "axum", "StatusCode", "crate::http", "Utc::now"]),
    ("src/http", &["bson", "docstore", "rusqlite", "mongodb", "Utc::now", "SystemTime"]),
    ("src/html", &["tokio", "axum", "bson", "docstore", "serde", "crate::"]),
    (
        "crates/migrator/src",
        &["mongodb::", "rusqlite", "\"users\"", "\"stories\"", "\"sections\"", "Utc::now"],
    ),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(under: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// The lines of code, without comments and without the unit tests at the end.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).unwrap();
    let code = text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    code.filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(n, line)| (n + 1, line.to_owned()))
        .collect()
}

#[test]
fn layers_use_only_what_they_may() {
    let mut broken = Vec::new();
    for (layer, forbidden) in LAYERS {
        let files = sources(&root().join(layer));
        assert!(!files.is_empty(), "{layer} has sources");
        for path in files {
            for (number, line) in code(&path) {
                for word in forbidden.iter().filter(|word| line.contains(**word)) {
                    broken.push(format!("{}:{number}: {layer} may not touch {word}", path.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_module_is_described() {
    let mut bare = Vec::new();
    for path in sources(&root().join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            let declares = line.ends_with(';') && (line.starts_with("mod ") || line.starts_with("pub mod "));
            let described = at > 0 && (lines[at - 1].starts_with("///") || lines[at - 1] == "#[cfg(test)]");
            if declares && !described {
                bare.push(format!("{}:{}: {line}", path.display(), at + 1));
            }
        }
    }
    assert!(bare.is_empty(), "{}", bare.join("\n"));
}

#[test]
fn files_are_short_and_nothing_is_left_over() {
    // Put together here, so that this file does not hold them.
    let markers = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["todo", "!("].concat(),
        ["unimplemented", "!("].concat(),
        ["dbg", "!("].concat(),
        ["#[ign", "ore"].concat(),
    ];
    let mut bad = Vec::new();
    for folder in ["src", "tests"] {
        for path in sources(&root().join(folder)) {
            let text = fs::read_to_string(&path).unwrap();
            if text.lines().count() > MOST_LINES {
                bad.push(format!("{} has more than {MOST_LINES} lines", path.display()));
            }
            let found = markers.iter().filter(|marker| text.contains(marker.as_str()));
            bad.extend(found.map(|marker| format!("{} holds {marker}", path.display())));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn every_variable_that_is_read_is_in_the_table() {
    let mut unknown = Vec::new();
    for path in sources(&root().join("src/config")) {
        if path.ends_with("tests.rs") {
            continue;
        }
        for (number, line) in code(&path) {
            for (at, _) in line.match_indices("reader.") {
                let Some(name) = line[at..].split('"').nth(1) else { continue };
                let is_name = name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
                if is_name && !field_notes::config::VARIABLES.iter().any(|v| v.name == name) {
                    unknown.push(format!("{}:{number}: {name}", path.display()));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

/// Whether a source has a test of this name: a function that is marked as one, or one of `stores!` or `targets!`.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    lines.iter().enumerate().any(|(at, line)| {
        let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        let rest = function.and_then(|rest| rest.strip_prefix(name));
        let marked = at > 0 && lines[at - 1].starts_with("#[") && lines[at - 1].ends_with("test]");
        rest.is_some_and(|rest| {
            rest.starts_with("(db: ") || rest.starts_with("(target: ") || (rest.starts_with("()") && marked)
        })
    })
}

/// Each line of the checklist is numbered, and names tests that are there or says why there is none; each heading says
/// how many lines follow.
#[test]
fn the_checklist_names_tests_that_are_there() {
    let text = fs::read_to_string(root().join("tests/checklist.md")).unwrap();
    let (mut wrong, mut number, mut named) = (Vec::new(), 0, 0);
    for group in text.split("\n## ").skip(1) {
        let title = group.lines().next().unwrap_or_default();
        let rows: Vec<_> = group.lines().filter_map(|line| line.strip_prefix("| ")).skip(1).collect();
        if !title.ends_with(&format!("({})", rows.len())) {
            wrong.push(format!("{title}: has {} lines", rows.len()));
        }
        for row in rows {
            number += 1;
            let cells: Vec<_> = row.trim_end_matches(" |").split(" | ").collect();
            let [said, _, tests] = cells[..] else {
                wrong.push(format!("not three cells: {row}"));
                continue;
            };
            if said != number.to_string() {
                wrong.push(format!("{said} should be {number}"));
            }
            if tests.starts_with("not here: ") {
                continue;
            }
            for test in tests.split(", ") {
                let path_and_name = test.trim_matches('`').split_once("::");
                let found = path_and_name.is_some_and(|(path, name)| {
                    fs::read_to_string(root().join(path)).is_ok_and(|source| has_test(&source, name))
                });
                named += 1;
                if !found {
                    wrong.push(format!("{number}: there is no test {test}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(named > 0, "the checklist names tests");
}
