use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::Arc;

use field_notes::http::routes;
use serde_json::Value;
use testkit::Target;

use crate::program::{Program, Server};

/// The address in the walkthrough.
const ADDRESS: &str = "http://localhost:5001";

/// Returns the shell blocks of a document.
fn blocks(text: &str) -> Vec<&str> {
    text.split("\n```sh\n").skip(1).map(|rest| rest.split_once("\n```").expect("a block ends").0).collect()
}

/// Returns the shell blocks of `docs/api.md`, joined in their order.
fn walkthrough() -> String {
    let blocks = blocks(include_str!("../../docs/api.md"));
    assert!(blocks.len() > 1, "docs/api.md contains the commands");
    blocks.join("\n")
}

/// Returns method and route of every successful request in the program's log.
fn answered(server: &Server) -> BTreeSet<(String, String)> {
    let output = server.output();
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let well = lines.filter(|line| {
        line["message"] == "request completed" && line["status"].as_u64().is_some_and(|status| status < 400)
    });
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    well.map(|line| (text(&line["spans"][0]["method"]), text(&line["spans"][0]["route"]))).collect()
}

testkit::targets! {
    async fn walkthrough_visits_every_route_and_is_repeatable(target: Arc<Target>) {
        let program = Program::on(&target).with("RUST_LOG", "warn,field_notes=debug").with("LOG_FORMAT", "json");
        let server = program.serve().await;
        let script = walkthrough();
        assert_eq!(script.matches(ADDRESS).count(), 1, "the address is named once:\n{script}");
        let script = script.replace(ADDRESS, server.base());
        for time in 1..=2 {
            let ran = Command::new("bash")
                .args(["-euo", "pipefail", "-c", &script])
                .current_dir(program.folder())
                .stdin(Stdio::null())
                .output()
                .expect("bash runs");
            let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
            assert!(ran.status.success(), "time {time}: {}\n{out}\n{err}", ran.status);
            let answers: Vec<Value> =
                out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect();
            let one = |what: &str, expected: &dyn Fn(&Value) -> bool| {
                assert!(answers.iter().any(expected), "time {time}: nothing has {what}:\n{out}");
            };
            one("the administrator", &|answer| answer["role"] == "admin");
            one("the store", &|answer| answer["database"] == "connected");
            one("the story under its first slug", &|answer| answer["slug"] == "first-light" && answer["title"] == "First light");
            one("the story under its second slug", &|answer| answer["slug"] == "second-light" && answer["title"] == "Second light");
            one("the trash", &|answer| answer["items"][0]["type"] == "stories");
            one("the project", &|answer| answer["is_featured"] == true);
            one("the page", &|answer| answer["page_type"] == "colophon");
            one("the link", &|answer| answer["sort_order"] == 3 && answer["label"] == "About");
        }
        let wanted = routes().iter().map(|route| (route.method.as_str().to_owned(), route.path.to_owned())).collect();
        let missing: Vec<_> = BTreeSet::difference(&wanted, &answered(&server)).cloned().collect();
        assert!(missing.is_empty(), "the walk does not visit {missing:?}");
        // The walkthrough cleans up.
        for (path, total) in [("/stories", 0), ("/projects", 0), ("/navlinks", 0), ("/sections", 4)] {
            assert_eq!(server.get(path).await.1["total"], total, "{path}");
        }
    }
}

testkit::targets! {
    async fn picture_of_the_readme_is_delivered(target: Arc<Target>) {
        let program = Program::on(&target);
        let server = program.serve().await;
        let (_, rest) = include_str!("../../README.md").split_once("\nA picture in a story").expect("a section");
        let (_, rest) = rest.split_once("\n```sh\n").expect("a block");
        let (script, _) = rest.split_once("\n```").expect("a block ends");
        let ran = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &script.replace(ADDRESS, server.base())])
            .current_dir(program.folder())
            .stdin(Stdio::null())
            .output()
            .expect("bash runs");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let story = server.get("/stories/slug/a-dot").await.1;
        assert!(story["content"].as_str().expect("content").contains("/uploads/images/originals/"), "{story}");
        let picture = std::fs::read(program.folder().join("dot.webp")).expect("a file");
        assert!(picture.starts_with(b"RIFF") && picture[8..].starts_with(b"WEBP"));
    }

    async fn readme_commands_react_comment_reply_and_delete(target: Arc<Target>) {
        let program = Program::on(&target);
        let server = program.serve().await;
        let blocks = blocks(include_str!("../../README.md"));
        let block = blocks.iter().find(|block| block.contains("/reactions")).expect("the README reacts to a story");
        let script = block.replace(ADDRESS, server.base());
        let ran = Command::new("bash").args(["-euo", "pipefail", "-c", &script]).output().expect("bash runs");
        let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{}\n{out}\n{err}", ran.status);
        for expected in ["\"added\":true", "\"content\":\"Indeed\"", "\"deleted_at\":\""] {
            assert!(out.contains(expected), "{expected} is missing:\n{out}");
        }
    }
}

/// Files that do not exist in a checkout: the example of a migration, and those of an operator.
const EXAMPLES: &[&str] =
    &["migrations/m0005_what_it_does.rs", "ops/.env", "ops/secrets", "ops/secrets/backend.env"];

#[test]
fn documents_name_files_that_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["src/", "crates/", "tests/", "docs/", "migrations/", "benches/", "tools/", "ops/"];
    let is_path = |word: &str| {
        folders.iter().any(|folder| word.starts_with(folder))
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
    };
    let documents = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/api.md",
        "docs/deploy.md",
        "docs/embedded.md",
        "docs/engagement.md",
        "docs/media.md",
        "docs/migrations.md",
        "docs/moving.md",
    ];
    let (mut named, mut missing) = (0, Vec::new());
    for document in documents {
        let text = std::fs::read_to_string(root.join(document)).expect("the document is there");
        for word in
            text.split('`').skip(1).step_by(2).filter(|word| is_path(word) && !EXAMPLES.contains(word))
        {
            named += 1;
            if !root.join(word).exists() {
                missing.push(format!("{document}: {word}"));
            }
        }
    }
    assert!(named > 20, "only {named} paths were found");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
