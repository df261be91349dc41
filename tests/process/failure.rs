use std::sync::Arc;

use docstore::bson::doc;
use docstore::{Filter, Index};
use serde_json::Value;
use testkit::Target;

use crate::program::{Program, open_store};

#[tokio::test]
async fn failed_start_stays_alive_and_reports_the_reason() {
    let program = Program::bare()
        .with("ADMIN_EMAIL", "admin@example.com")
        .with("MIGRATE_ON_START", "verify")
        .with("ON_START_FAILURE", "stay");
    let mut server = program.spawn();
    let failed = server.wait_for_readyz(|body| body["status"] == "failed").await;
    assert_eq!(failed["phase"], "migrations");
    assert!(failed["detail"].as_str().unwrap().contains("0001_create_admin_user"), "{failed}");
    assert_eq!(server.get("/livez").await.0, 200);
    assert_eq!(server.get("/sections").await.0, 503);
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0), "{}", server.output());
}

testkit::targets! {
    /// A unique index that an operator created makes 0003 fail at its second section.
    async fn failed_migration_is_recorded_reported_and_resumed(target: Arc<Target>) {
        let store = open_store(&target).await;
        let sections = store.collection("sections");
        store.ensure_index("sections", &Index::on(["title"]).unique()).await.unwrap();
        sections.insert_one(doc! { "title": "About", "slug": "mine", "is_deleted": true }).await.unwrap();

        let program = Program::on(&target).with("PORT", "0");
        let first = program.run(&["serve"]).expect(1);
        assert!(first.stderr.contains("0003_seed_initial_sections"), "{}", first.stderr);
        assert!(first.stderr.contains("title_1"), "the cause is printed: {}", first.stderr);

        // A failure is not retried automatically: the next start reports it, and the command to run.
        let second = program.run(&["serve"]).expect(4);
        assert!(second.stderr.contains("0003_seed_initial_sections"), "{}", second.stderr);
        assert!(second.stderr.contains("field-notes migrate up"), "{}", second.stderr);
        let json = program.run(&["migrate", "status", "--json"]).expect(0).stdout;
        let status: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(status["failed"][0]["id"], "0003_seed_initial_sections", "{status}");
        assert!(status["failed"][0]["error"].is_string(), "{status}");

        let repair = ["migrate", "repair", "0003", "--as", "retry", "--reason", "a test"];
        program.run(&repair).expect(0);
        let status = program.run(&["migrate", "status"]).expect(0).stdout;
        assert!(status.contains("✗ 0003_seed_initial_sections (resumed by the next run): "), "{status}");

        sections.delete_one(&Filter::eq("slug", "mine")).await.unwrap();
        program.run(&["migrate", "up"]).expect(0);
        let server = Program::on(&target).serve().await;
        assert_eq!(server.section_slugs().await, ["blog", "about", "projects", "contact"]);
        store.close().await;
    }
}
