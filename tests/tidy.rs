//! Reads the sources and checks three rules: the layer table of `ARCHITECTURE.md`, the completeness of `.env.example`, and that
//! no crate may contain unsafe code.

#![expect(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::fs;
use std::path::{Path, PathBuf};

/// Each layer with the words that its sources must not contain. `startup`, `cli` and `main` may use everything;
/// Cargo keeps `migrations` away from `src`.
const LAYERS: &[(&str, &[&str])] = &[
    (
        "src/domain",
        &[
            "tokio",
            "axum",
            "docstore",
            "serde_json",
            "Utc::now",
            "SystemTime",
            "crate::repository",
            "crate::identity",
            "crate::service",
            "crate::http",
        ],
    ),
    ("src/repository", &["axum", "Utc::now", "crate::identity", "crate::service", "crate::http"]),
    ("src/identity", &["axum", "docstore", "bson", "Utc::now", "crate::service", "crate::http"]),
    (
        "src/media",
        &[
            "axum",
            "docstore",
            "bson",
            "Utc::now",
            "SystemTime",
            "crate::repository",
            "crate::identity",
            "crate::service",
            "crate::http",
        ],
    ),
    ("src/html", &["tokio", "axum", "docstore", "bson", "serde", "crate::"]),
    // Reads of a spawned task escape the read tracking that the response cache depends on.
    ("src/service", &["tokio::spawn", "axum", "StatusCode", "docstore", "bson", "Utc::now", "crate::http"]),
    ("src/http", &["docstore", "bson", "rusqlite", "mongodb", "Utc::now", "SystemTime", "crate::repository"]),
    ("crates/migrator/src", &["rusqlite", "Utc::now", "\"users\"", "\"stories\"", "\"sections\""]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Returns the numbered lines of code in a file, without comments and without the unit tests at its end.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]").enumerate();
    lines
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, line.to_owned()))
        .collect()
}

#[test]
fn layers_use_only_allowed_dependencies() {
    let mut violations = Vec::new();
    for (layer, forbidden) in LAYERS {
        let files = rust_files(&root().join(layer));
        assert!(!files.is_empty(), "{layer} has no sources");
        for path in files {
            for (number, line) in code(&path) {
                for word in forbidden.iter().filter(|word| line.contains(**word)) {
                    violations.push(format!("{}:{number}: {layer} must not use {word}", path.display()));
                }
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn env_example_lists_every_variable_that_is_read() {
    let example = fs::read_to_string(root().join(".env.example")).unwrap();
    let listed = |name: &str| {
        let mut lines = example.lines().map(|line| line.trim_start_matches('#'));
        lines.any(|line| line.split_once('=').is_some_and(|(listed, _)| listed == name))
    };
    let missing: Vec<_> = field_notes::config::VARIABLES
        .iter()
        .map(|variable| variable.name)
        .filter(|name| !listed(name))
        .collect();
    assert!(missing.is_empty(), "not in .env.example: {missing:?}");
}

/// Code cannot lift `forbid`, but a crate that does not inherit the lints would compile unsafe code.
#[test]
fn every_crate_inherits_the_lint_against_unsafe_code() {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(workspace.contains("[workspace.lints.rust]\nunsafe_code = \"forbid\"\n"));
    let (_, members) = workspace.split_once("members = [").unwrap();
    let (members, _) = members.split_once(']').unwrap();
    let members: Vec<_> = members.split('"').skip(1).step_by(2).collect();
    assert!(members.contains(&"crates/docstore"), "{members:?}");
    for member in members.into_iter().chain(["."]) {
        let manifest = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true\n"), "{member} does not inherit the lints");
    }
}
