use std::sync::Arc;
use std::time::{Duration, Instant};

use docstore::Filter;
use field_notes::repository::ensure_all;
use serde_json::json;
use testkit::Target;

use crate::program::{Program, open_store};

testkit::targets! {
    async fn destroying_data_beneath_a_running_server_is_refused(target: Arc<Target>) {
        let program = Program::on(&target);
        let server = program.serve().await;
        let story = |title: &str| json!({ "title": title, "content": "text", "is_published": true });
        assert_eq!(server.post_as_admin("/stories", &story("first")).await.0, 201);
        let taken = program.run(&["migrate", "backup", "--json"]).expect(0).stdout;
        let taken: serde_json::Value = serde_json::from_str(&taken).unwrap();
        let store = open_store(&target).await;
        let name = store.name();
        let reset = ["migrate", "reset", "--drop", "--no-backup", "--confirm", &name];
        let restore = ["migrate", "restore", taken["id"].as_str().unwrap(), "--replace", "--yes"];

        // The server registers itself after it has opened its gate.
        let registered = Filter::starts_with("_id", "server-");
        while store.collection("_migration_lock").count(&registered).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for arguments in [&reset[..], &restore] {
            let refused = program.run(arguments).expect(8);
            assert!(refused.stderr.contains("a server is running on this store"), "{}", refused.stderr);
        }
        assert_eq!(store.collection("stories").count(&Filter::All).await.unwrap(), 1);

        program.run(&[&reset[..], &["--force"]].concat()).expect(0);
        let body = wait_for_status(&server, "degraded").await;
        let reason = body["detail"].as_str().unwrap();
        assert!(reason.contains("stories.slug_1") && reason.contains("users.email_1"), "{body}");
        assert_eq!(server.post_as_admin("/stories", &story("second")).await.0, 503);
        assert_eq!(server.get("/sections").await.0, 200);
        ensure_all(&store).await.unwrap();
        wait_for_status(&server, "ready").await;
        assert_eq!(server.post_as_admin("/stories", &story("second")).await.0, 201);

        let mut server = server;
        server.signal("TERM");
        assert_eq!(server.wait(), Some(0), "{}", server.output());
        program.run(&reset).expect(0);
        store.close().await;
    }
}

async fn wait_for_status(server: &crate::program::Server, status: &str) -> serde_json::Value {
    let began = Instant::now();
    loop {
        let (_, body) = server.get("/readyz").await;
        if body["status"] == status {
            return body;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{body}:\n{}", server.output());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
