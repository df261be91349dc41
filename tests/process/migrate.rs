use std::sync::Arc;

use serde_json::Value;
use testkit::Target;

use crate::program::Program;

/// Returns the ids of all migrations, in order.
fn known() -> Vec<String> {
    let graph = migrator::Graph::new(migrations::all()).expect("a graph");
    graph.ids().map(str::to_owned).collect()
}

fn ids(group: &Value) -> Vec<&str> {
    group.as_array().expect("an array").iter().map(|entry| entry["id"].as_str().expect("an id")).collect()
}

fn status(program: &Program) -> Value {
    let result = program.run(&["migrate", "status", "--json"]).expect(0);
    serde_json::from_str(&result.stdout).expect("JSON on stdout, and nothing else")
}

#[test]
fn status_does_not_create_a_missing_store() {
    let program = Program::bare().with("ADMIN_EMAIL", "admin@example.com");
    let result = program.run(&["migrate", "status"]).expect(0);
    assert!(result.stdout.contains("Applied migrations:\n  (none)"), "{}", result.stdout);
    assert!(program.files().is_empty(), "{:?}", program.files());
}

testkit::targets! {
    async fn up_status_down_and_up_again(target: Arc<Target>) {
        let program = Program::on(&target);
        let before = status(&program);
        assert_eq!(ids(&before["pending"]), known());
        assert!(ids(&before["applied"]).is_empty());

        program.run(&["migrate", "up"]).expect(0);
        let after = status(&program);
        assert_eq!(ids(&after["applied"]), known());
        for group in ["pending", "failed", "unknown"] {
            assert!(ids(&after[group]).is_empty(), "{after}");
        }
        assert!(after["applied"].as_array().unwrap().iter().all(|entry| entry["applied_at"].is_string()), "{after}");

        let text = program.run(&["migrate", "status"]).expect(0).stdout;
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "Applied migrations:");
        for (line, id) in lines[1..].iter().zip(known()) {
            assert!(line.starts_with(&format!("  ✓ {id}")), "{text}");
        }
        assert!(text.contains("Pending migrations:\n  (none)"), "{text}");

        program.run(&["migrate", "down"]).expect(0);
        let undone = status(&program);
        assert_eq!(ids(&undone["applied"]), known()[..known().len() - 1]);
        assert_eq!(ids(&undone["pending"]), known()[known().len() - 1..]);

        program.run(&["migrate", "up"]).expect(0);
        assert_eq!(ids(&status(&program)["applied"]), known());
    }

    async fn migrate_verbs_work_beside_a_running_server(target: Arc<Target>) {
        let program = Program::on(&target);
        let server = program.serve().await;
        assert_eq!(ids(&status(&program)["applied"]), known());
        program.run(&["migrate", "down"]).expect(0);
        assert_eq!(ids(&status(&program)["pending"]), known()[known().len() - 1..]);
        assert_eq!(server.section_slugs().await, ["blog", "about", "projects", "contact"]);
        program.run(&["migrate", "up"]).expect(0);
    }

    async fn verify_refuses_to_serve_while_migrations_are_pending(target: Arc<Target>) {
        let program = Program::on(&target).with("MIGRATE_ON_START", "verify").with("PORT", "0");
        let result = program.run(&["serve"]).expect(3);
        assert!(result.stderr.contains("0001_create_admin_user"), "{}", result.stderr);
        assert!(result.stderr.contains("field-notes migrate up"), "{}", result.stderr);
        assert_eq!(ids(&status(&program)["pending"]), known());
    }

    async fn wait_serves_once_another_process_has_migrated(target: Arc<Target>) {
        let waiting = Program::on(&target).with("MIGRATE_ON_START", "wait");
        let mut server = waiting.spawn();
        // The gate is closed: liveness answers, content does not.
        server.wait_for_readyz(|body| body["phase"] == "migrations").await;
        assert_eq!(server.get("/sections").await.0, 503);
        assert_eq!(server.get("/livez").await.0, 200);

        Program::on(&target).run(&["migrate", "up"]).expect(0);
        server.wait_until_ready().await;
        assert_eq!(server.section_slugs().await.len(), 4);
    }
}
