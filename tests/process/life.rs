use std::fs;
use std::sync::Arc;

use serde_json::json;
use testkit::Target;

use crate::support::Setup;

fn slugs(sections: &serde_json::Value) -> Vec<&str> {
    sections["items"].as_array().unwrap().iter().map(|s| s["slug"].as_str().unwrap()).collect()
}

testkit::targets! {
    async fn a_first_run_serves_the_four_sections_and_ends_when_told(target: Arc<Target>) {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup::on(&target, folder.path());
        let mut server = setup.spawn().await;
        let first = server.sections().await;
        assert_eq!(slugs(&first), ["blog", "about", "projects", "contact"]);
        assert_eq!(server.get("/readyz").await, (200, json!({ "status": "ready", "database": "connected" })));
        assert_eq!(setup.clone().with("PORT", server.port()).run(&["healthcheck"]).code, Some(0));
        server.signal("TERM");
        assert_eq!(server.ended().await.code(), Some(0));
        let again = setup.spawn().await;
        assert_eq!(again.sections().await, first);
    }

    async fn kill_9_loses_nothing(target: Arc<Target>) {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup::on(&target, folder.path()).with("MIGRATE_LEASE_SECONDS", "1");
        // At once, in the midst of the start, and when it serves.
        let mut at_once = setup.spawn().await;
        at_once.signal("KILL");
        assert_eq!(at_once.ended().await.code(), None);
        let mut serving = setup.spawn().await;
        let before = serving.sections().await;
        serving.signal("KILL");
        assert_eq!(serving.ended().await.code(), None);
        assert_eq!(setup.spawn().await.sections().await, before);
    }
}

#[tokio::test]
async fn the_environment_wins_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), "ADMIN_EMAIL=admin@example.com\nDATA_DIR=from-file\nPORT=1\n")
        .unwrap();
    let setup = Setup::bare(folder.path()).with("PORT", "0").with("DATA_DIR", "");
    let server = setup.spawn().await;
    server.sections().await;
    assert!(folder.path().join("from-file/field-notes.db").is_file(), "an empty variable is not set");
}
