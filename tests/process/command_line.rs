use std::sync::Arc;

use serde_json::Value;
use testkit::Target;

use crate::support::Setup;

const IDS: [&str; 4] = [
    "0001_create_admin_user",
    "0002_add_user_id_to_content",
    "0003_seed_initial_sections",
    "0004_backfill_section_id",
];

fn listed(lines: &[String; 4]) -> String {
    lines.join("\n") + "\n"
}

/// The text with every time replaced.
fn golden(text: &str) -> String {
    let line = |line: &str| match line.split_once(" (2") {
        Some((before, _)) => format!("{before} (<time>)\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

testkit::targets! {
    async fn up_status_down_and_up_again(target: Arc<Target>) {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup::on(&target, folder.path());
        let nothing = setup.run(&["migrate", "status"]);
        let pending = listed(&IDS.map(|id| format!("  · {id}")));
        assert_eq!(nothing.out, format!("Applied migrations:\n  (none)\n\nPending migrations:\n{pending}"), "{}", nothing.err);
        assert!(!folder.path().join("data").exists(), "looking makes no file");
        let serve = setup.clone().with("MIGRATE_ON_START", "verify").run(&["serve"]);
        assert_eq!(serve.code, Some(3), "{}", serve.err);
        let up = setup.run(&["migrate", "up"]);
        assert_eq!(up.code, Some(0), "{}", up.err);
        let applied = listed(&IDS.map(|id| format!("  ✓ {id} (<time>)")));
        let status = setup.run(&["migrate", "status"]);
        assert_eq!(golden(&status.out), format!("Applied migrations:\n{applied}\nPending migrations:\n  (none)\n"));
        let down = setup.run(&["migrate", "down"]);
        assert_eq!((down.code, down.out.contains(IDS[3])), (Some(0), true), "{}", down.err);
        let json: Value = serde_json::from_str(&setup.run(&["migrate", "status", "--json"]).out).unwrap();
        for (group, count) in [("applied", 3), ("pending", 1), ("failed", 0), ("unknown", 0)] {
            assert_eq!(json[group].as_array().map(Vec::len), Some(count), "{group}");
        }
        assert_eq!((&json["pending"][0]["id"], &json["applied"][0]["source"]), (&IDS[3].into(), &"native".into()));
        assert!(json["applied"][0]["applied_at"].is_string());
        assert_eq!(setup.run(&["migrate", "up"]).code, Some(0));
        assert!(setup.run(&["migrate", "up"]).out.contains("nothing to do"));
    }

    async fn the_command_line_works_beside_a_server(target: Arc<Target>) {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup::on(&target, folder.path());
        let server = setup.spawn().await;
        server.sections().await;
        assert_eq!(setup.run(&["migrate", "status"]).code, Some(0));
        assert_eq!(setup.run(&["migrate", "up"]).code, Some(0));
        assert_eq!(server.sections().await["total"], 4);
    }
}

#[test]
fn help_has_examples_and_wrong_usage_is_2() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::bare(folder.path());
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["migrate", "--help"],
        &["migrate", "up", "--help"],
        &["migrate", "down", "--help"],
        &["migrate", "status", "--help"],
        &["healthcheck", "--help"],
    ] {
        let ran = setup.run(arguments);
        assert_eq!(ran.code, Some(0));
        assert!(ran.out.contains("Examples:"), "{arguments:?}");
    }
    assert_eq!(setup.run(&["--version"]).out, concat!("field-notes ", env!("CARGO_PKG_VERSION"), "\n"));
    assert_eq!(setup.run(&["migrate", "sideways"]).code, Some(2));
    assert_eq!(setup.with("PORT", "1").run(&["healthcheck"]).code, Some(1));
}
