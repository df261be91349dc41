//! Runs every command of `docs/migrations.md` as it is written there.
//!
//! A section (`## …`) is one script in an empty folder on an empty database: its blocks of `sh`, in order. A remark
//! `# exit 3` after a command is its expected exit code, instead of 0. A line `#> text` after a command is a part of its
//! expected output. A comment `<!-- given: … -->` sets up a situation.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use docstore::bson::doc;
use docstore::{Filter, Index, Update};
use testkit::Target;

use crate::program::{Program, free_port, open_store};
use crate::takeover;

/// The ports in the guide, which are replaced by free ones.
const PORTS: [&str; 3] = ["5001", "5002", "5003"];

/// The start of every script: servers end with the script, and an unexpected exit code or output ends it.
const PRELUDE: &str = r#"
set -euo pipefail
trap 'status=$?; trap - EXIT; kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; exit $status' EXIT
expect() {
  local code=0
  output=$(eval "$2" 2>&1) || code=$?
  printf '$ %s\n%s\n' "$2" "$output"
  if [ "$code" != "$1" ]; then printf '>>> %s: exit %s instead of %s\n' "$2" "$code" "$1"; exit 99; fi
}
says() {
  case "$output" in *"$1"*) ;; *) printf '>>> %s is not in what it says\n' "$1"; exit 98 ;; esac
}
"#;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Given(String),
    Script(String),
}

/// Returns the sections with scripts, by name.
pub(crate) fn sections(guide: &str) -> Vec<(String, Vec<Part>)> {
    let mut sections: Vec<(String, Vec<Part>)> = Vec::new();
    let mut script: Option<String> = None;
    for line in guide.lines() {
        if let Some(text) = &mut script {
            if line == "```" {
                let text = script.take().expect("a block is open");
                sections.last_mut().expect("a block is in a section").1.push(Part::Script(text));
            } else {
                text.push_str(line);
                text.push('\n');
            }
        } else if let Some(name) = line.strip_prefix("## ") {
            sections.push((name.to_owned(), Vec::new()));
        } else if line == "```sh" {
            script = Some(String::new());
        } else if let Some(what) = line.strip_prefix("<!-- given: ") {
            let what = what.strip_suffix(" -->").expect("a comment ends on its line").to_owned();
            sections.last_mut().expect("what is given is in a section").1.push(Part::Given(what));
        }
    }
    sections.retain(|(_, parts)| parts.iter().any(|part| matches!(part, Part::Script(_))));
    sections
}

/// Returns a block as a bash script that checks every command.
fn script(block: &str) -> String {
    let mut text = String::from(PRELUDE);
    for line in block.lines() {
        let (command, remark) = line.split_once("  # ").unwrap_or((line, ""));
        let command = command.trim_end();
        if let Some(printed) = line.strip_prefix("#> ") {
            _ = writeln!(text, "says {}", quoted(printed));
        } else if is_for_the_shell(command) {
            _ = writeln!(text, "{command}");
        } else if !command.is_empty() && !command.starts_with('#') {
            let code =
                remark.trim().strip_prefix("exit ").map_or("0", |rest| rest.split(' ').next().unwrap_or("0"));
            _ = writeln!(text, "expect {code} {}", quoted(command));
        }
    }
    text
}

/// Returns whether a command must run in the shell itself: variables, jobs, loops, folders.
fn is_for_the_shell(command: &str) -> bool {
    let first = command.split([' ', '=']).next().unwrap_or_default();
    let sets = command.split_once('=').is_some_and(|(name, value)| {
        name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && value.starts_with("$(")
    });
    sets || command.ends_with('&') || matches!(first, "until" | "kill" | "wait" | "cd" | "export")
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Sets up a situation.
async fn set_up(what: &str, program: &Program, target: &Target) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if what == "a checkout" {
        let sources = program.folder().join("migrations");
        fs::create_dir(&sources).expect("a folder");
        for entry in fs::read_dir(root.join("migrations")).expect("the migrations") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|kind| kind == "rs") {
                fs::copy(&path, sources.join(path.file_name().expect("a name"))).expect("a copy");
            }
        }
        return;
    }
    let store = open_store(target).await;
    let sections = store.collection("sections");
    match what {
        "a database of the original" => takeover::put_original(&store).await,
        "an index that is in the way" => {
            store.ensure_index("sections", &Index::on(["title"]).unique()).await.expect("an index");
            let deleted = doc! { "title": "About", "slug": "about-us", "is_deleted": true };
            sections.insert_one(deleted).await.expect("a document");
        }
        "the cause is gone" => {
            sections.delete_one(&Filter::eq("slug", "about-us")).await.expect("a document goes");
        }
        "a story" => {
            let low_tide = doc! { "title": "Low tide", "slug": "low-tide", "is_published": true };
            store.collection("stories").insert_one(low_tide).await.expect("a document");
        }
        "sections that went wrong" => {
            let update = Update::new().set("slug", "oops");
            sections.update_one(&Filter::eq("slug", "blog"), &update).await.expect("a change");
        }
        other => panic!("unknown situation {other:?}"),
    }
    store.close().await;
}

fn guide() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migrations.md")).expect("the guide")
}

async fn run(name: &str, target: &Arc<Target>) {
    let sections = sections(&guide());
    let (_, parts) =
        sections.iter().find(|(section, _)| section == name).expect("the guide has this section");
    let program = Program::on(target);
    for part in parts {
        match part {
            Part::Given(what) => set_up(what, &program, target).await,
            Part::Script(block) => run_block(name, block, &program),
        }
    }
}

/// Runs a block, and panics with its output unless every command did what it says.
pub(crate) fn run_block(section: &str, block: &str, program: &Program) {
    let mut text = script(block);
    for port in PORTS {
        text = text.replace(port, &free_port().to_string());
    }
    let output = bash(program, &text);
    assert!(output.0, "{section}:\n{}", output.1);
}

fn bash(program: &Program, text: &str) -> (bool, String) {
    let program_folder = PathBuf::from(env!("CARGO_BIN_EXE_field-notes"));
    let path = format!(
        "{}:{}",
        program_folder.parent().expect("a folder").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut command = Command::new("bash");
    command.args(["-c", text]).current_dir(program.folder()).env_clear().env("PATH", path);
    command.envs(program.variables()).stdin(Stdio::null());
    let output = command.output().expect("bash runs");
    let printed =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), printed)
}

/// The sections that the tests below run.
const RUN: [&str; 9] = [
    "Every day",
    "Writing a migration",
    "Deploying",
    "Rolling back a deploy",
    "Importing a database of the original",
    "Runbook: a migration failed during a deploy",
    "Runbook: wrong data",
    "Runbook: ledger and database disagree",
    "Runbook: a start finds duplicates",
];

#[test]
fn every_section_with_commands_is_run() {
    let names: Vec<_> = sections(&guide()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, RUN);
}

#[test]
fn block_becomes_a_script_that_checks_every_command() {
    let text =
        script("field-notes migrate check  # exit 3\n#> it's\n\n# a remark\nserve &\nid=$(x)\nA=1 serve\n");
    let (_, text) = text.split_once("says() {").expect("the prelude");
    let (_, text) = text.split_once("}\n").expect("the prelude ends");
    let expected =
        "expect 3 'field-notes migrate check'\nsays 'it'\\''s'\nserve &\nid=$(x)\nexpect 0 'A=1 serve'\n";
    assert_eq!(text, expected);
}

testkit::targets! {
    async fn every_day(target: Arc<Target>) {
        run("Every day", &target).await;
    }

    async fn writing_a_migration(target: Arc<Target>) {
        run("Writing a migration", &target).await;
    }

    async fn deploying(target: Arc<Target>) {
        run("Deploying", &target).await;
    }

    async fn rolling_back_a_deploy(target: Arc<Target>) {
        run("Rolling back a deploy", &target).await;
    }

    async fn importing_a_database_of_the_original(target: Arc<Target>) {
        run("Importing a database of the original", &target).await;
    }

    async fn migration_failed_during_a_deploy(target: Arc<Target>) {
        run("Runbook: a migration failed during a deploy", &target).await;
    }

    async fn wrong_data(target: Arc<Target>) {
        run("Runbook: wrong data", &target).await;
    }

    async fn ledger_and_database_disagree(target: Arc<Target>) {
        run("Runbook: ledger and database disagree", &target).await;
    }

    async fn start_finds_duplicates(target: Arc<Target>) {
        run("Runbook: a start finds duplicates", &target).await;
    }
}
