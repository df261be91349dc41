use std::sync::Arc;
use std::time::Duration;

use docstore::{Filter, LeaseRequest};
use testkit::Target;

use crate::program::{Program, open_store, slugs};

testkit::targets! {
    async fn seed_demo_adds_content_once(target: Arc<Target>) {
        let program = Program::on(&target);
        // Without migrations there are no sections.
        let result = program.run(&["seed", "demo"]).expect(3);
        assert!(result.stderr.contains("field-notes migrate up"), "{}", result.stderr);

        program.run(&["migrate", "up"]).expect(0);
        let first = program.run(&["seed", "demo"]).expect(0);
        assert_eq!(first.stdout, "added 7, kept 0 existing\n");
        let second = program.run(&["seed", "demo"]).expect(0);
        assert_eq!(second.stdout, "added 0, kept 7 existing\n");

        let server = program.serve().await;
        let (status, stories) = server.get("/stories").await;
        assert_eq!((status, slugs(&stories).len()), (200, 2), "the draft is not shown: {stories}");
        assert_eq!(server.get("/projects").await.1["total"], 2);
        assert_eq!(server.get("/pages/about").await.0, 200);
        assert!(stories["items"][0]["section_id"].is_string(), "{stories}");
    }

    async fn seed_demo_of_two_processes_adds_content_once(target: Arc<Target>) {
        let program = Program::on(&target);
        program.run(&["migrate", "up"]).expect(0);
        let store = open_store(&target).await;
        let request = LeaseRequest {
            collection: "_content_lock".to_owned(),
            name: "sample content".to_owned(),
            owner: "another process".to_owned(),
            ttl: Duration::from_mins(1),
        };
        let lease = store.acquire_lease(request).await.unwrap().unwrap();
        let refused = program.run(&["seed", "demo"]).expect(5);
        assert!(refused.stderr.contains("another process is adding sample content"), "{}", refused.stderr);
        assert_eq!(store.collection("stories").count(&Filter::All).await.unwrap(), 0);
        lease.release().await.unwrap();
        // The lock is released at the end of each run.
        for added in ["added 7, kept 0 existing\n", "added 0, kept 7 existing\n"] {
            assert_eq!(program.run(&["seed", "demo"]).expect(0).stdout, added);
        }
        store.close().await;
    }

    async fn seed_demo_is_refused_in_production(target: Arc<Target>) {
        let program = Program::on(&target)
            .with("ENVIRONMENT", "production")
            .with("ALLOW_DEV_AUTH", "false")
            .with("GOOGLE_CLIENT_ID", "x");
        let result = program.run(&["seed", "demo"]).expect(8);
        assert!(result.stderr.contains("field-notes seed demo --yes"), "{}", result.stderr);
    }
}
