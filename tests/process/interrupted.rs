//! Runs that are stopped, killed or waiting: their output, and that the next run resumes.

use std::sync::Arc;
use std::time::Duration;

use docstore::bson::{Document, doc};
use docstore::{Database, Filter, LeaseRequest};
use serde_json::Value;
use testkit::Target;

use crate::program::{Program, long_documents, open_store};

/// The number of stories, unless `make test-migrations-long` sets another.
const STORIES: u32 = 24_000;
const INTERRUPTIONS: u32 = 5;

fn stories() -> u32 {
    long_documents().unwrap_or(STORIES)
}

async fn fill(store: &Database, count: u32) {
    let numbered = |n: u32| -> Document {
        doc! { "_id": i64::from(n), "title": "t", "slug": format!("story-{n}"), "user_id": "u" }
    };
    for first in (0..count).step_by(2_000) {
        let batch = (first..count.min(first + 2_000)).map(numbered).collect();
        store.collection("stories").insert_many(batch).await.expect("stories are stored");
    }
}

async fn linked(store: &Database) -> u64 {
    store.collection("stories").count(&Filter::exists("section_id")).await.expect("a count")
}

/// Takes the migration lock as another process.
async fn hold_the_lock(store: &Database) -> docstore::Lease {
    let request = LeaseRequest {
        collection: "_migration_lock".to_owned(),
        name: "migrations".to_owned(),
        owner: "somebody:1:else".to_owned(),
        ttl: Duration::from_mins(1),
    };
    store
        .acquire_lease(request)
        .await
        .expect("an answer")
        .unwrap_or_else(|holder| panic!("{holder:?} has it"))
}

fn status(program: &Program) -> Value {
    let result = program.run(&["migrate", "status", "--json"]).expect(0);
    serde_json::from_str(&result.stdout).expect("JSON")
}

testkit::targets! {
    async fn repeatedly_interrupted_backfill_completes(target: Arc<Target>) {
        let program = Program::on(&target);
        let store = open_store(&target).await;
        program.run(&["migrate", "up", "--to", "0003"]).expect(0);
        let count = stories();
        fill(&store, count).await;
        let mut interrupted = 0;
        for round in 1..=INTERRUPTIONS {
            let before = linked(&store).await;
            let mut run = program.start(&["migrate", "up"]);
            // Signal it after it has changed something, so that it is in the middle of the migration.
            while linked(&store).await == before && run.is_running() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let by_force = round % 2 == 0;
            run.signal(if by_force { "KILL" } else { "TERM" });
            match run.wait() {
                // It completed before the signal.
                Some(0) => break,
                None => assert!(by_force, "{}", run.output()),
                code => {
                    assert_eq!(code, Some(130), "{}", run.output());
                    assert!(run.output().contains("field-notes migrate up"), "{}", run.output());
                    assert_eq!(status(&program)["pending"][0]["state"], "interrupted");
                }
            }
            interrupted += 1;
        }
        assert!(interrupted > 1, "it was done after {interrupted} interruptions");
        program.run(&["migrate", "up"]).expect(0);
        assert_eq!(linked(&store).await, u64::from(count));
        program.run(&["migrate", "verify"]).expect(0);
        program.run(&["migrate", "down"]).expect(0);
        assert_eq!(linked(&store).await, 0);
        store.close().await;
    }

    async fn waiting_for_the_lock_names_the_holder_and_stops_on_sigterm(target: Arc<Target>) {
        let program = Program::on(&target);
        let store = open_store(&target).await;
        let lease = hold_the_lock(&store).await;
        let mut run = program.start(&["migrate", "up"]);
        run.wait_for_output("somebody").await;
        run.signal("TERM");
        assert_eq!(run.wait(), Some(130), "{}", run.output());

        // A waiting start listens, is alive, is not ready, and names the holder.
        let mut server = program.spawn();
        let body = server.wait_for_readyz(|body| body["holder"].is_string()).await;
        assert!(body["holder"].as_str().unwrap().contains("somebody"), "{body}");
        assert_eq!((&body["phase"], &body["status"]), (&Value::from("migrations"), &Value::from("starting")));
        assert_eq!(server.get("/livez").await.0, 200);
        server.signal("TERM");
        assert_eq!(server.wait(), Some(130), "{}", server.output());
        lease.release().await.unwrap();
        assert_eq!(status(&program)["applied"].as_array().map(Vec::len), Some(0));
        store.close().await;
    }

    async fn readyz_reports_migration_progress(target: Arc<Target>) {
        let program = Program::on(&target);
        let store = open_store(&target).await;
        program.run(&["migrate", "up", "--to", "0003"]).expect(0);
        fill(&store, stories()).await;
        let mut server = program.spawn();
        let body = server.wait_for_readyz(|body| body["done"].as_u64().is_some_and(|done| done > 0)).await;
        assert_eq!(body["migration"], "0004_backfill_section_id", "{body}");
        assert_eq!(body["step"], "link blog", "{body}");
        server.wait_until_ready().await;
        assert_eq!(linked(&store).await, u64::from(stories()));
        store.close().await;
    }
}
