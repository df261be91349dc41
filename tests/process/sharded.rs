use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::Mongod;
use testkit::mongos::Mongos;

use crate::program::Program;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Starts a double of `mongos` that refuses what a sharded cluster refuses.
fn mongos(server: &Mongod) -> Mongos {
    Mongos::of_a_sharded_cluster(&server.host(), docstore::mongo::command_shapes).expect("a double of mongos")
}

#[test]
fn program_sends_nothing_that_a_sharded_cluster_refuses() {
    testkit::with_server_binary(|binary| async move {
        let server = Mongod::replica_set(&binary).await.expect("a server");
        let mongos = mongos(&server);
        let program = Program::bare()
            .with("ADMIN_EMAIL", "admin@example.com")
            .with("ALLOW_DEV_AUTH", "true")
            .with("CACHE_MAX_AGE", "86400")
            .with("MONGO_URI", &mongos.uri())
            .with("MONGO_DB_NAME", "notes");
        let (mut one, mut two) = (program.serve().await, program.serve().await);
        let verbose = one.get("/readyz?verbose=true").await.1;
        assert_eq!(verbose["status"], "ready", "{verbose}");

        // A create with a key is a transaction over two collections.
        let story = json!({ "title": "Kept", "content": "text", "is_published": true });
        let key = [("Idempotency-Key", "\"one\"")];
        let (status, created) = one.post_as_admin_with("/stories", &key, &story).await;
        assert_eq!(status, 201, "{created}");
        let (status, repeated) = two.post_as_admin_with("/stories", &key, &story).await;
        assert_eq!((status, &repeated["id"]), (201, &created["id"]), "{repeated}");

        // The change stream tells the other process.
        assert_eq!(two.get("/stories").await.1["total"], 1);
        assert_eq!(one.post_as_admin("/stories", &story).await.0, 201);
        let began = Instant::now();
        while two.get("/stories").await.1["total"] != 2 {
            assert!(began.elapsed() < TIMEOUT, "the write is not seen:\n{}", two.output());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let id = created["id"].as_str().expect("an id");
        let client = reqwest::Client::new();
        for (method, path, body) in [
            (reqwest::Method::PUT, format!("/stories/{id}"), json!({ "title": "Renamed" })),
            (reqwest::Method::DELETE, format!("/stories/{id}"), Value::Null),
        ] {
            let request = client.request(method.clone(), format!("{}{path}", one.base()));
            let answer = request.bearer_auth("dev-mock-admin").json(&body).send().await.expect("an answer");
            assert!(answer.status().is_success(), "{method}: {}", answer.status());
        }
        assert_eq!(one.get_as_admin("/trash?type=stories").await.1["total"], 1);
        for server in [&mut one, &mut two] {
            server.signal("TERM");
            assert_eq!(server.wait(), Some(0), "{}", server.output());
        }

        let run = |arguments: &[&str]| program.run(arguments).expect(0).stdout;
        let backup: Value = serde_json::from_str(&run(&["migrate", "backup", "--json"])).expect("JSON");
        run(&["migrate", "down", "--yes"]);
        run(&["migrate", "up"]);
        run(&["migrate", "check"]);
        run(&["migrate", "restore", backup["id"].as_str().expect("an id"), "--replace", "--yes"]);
        run(&["migrate", "preflight"]);
        run(&["trash", "purge", "--older-than", "1d", "--yes"]);
        run(&["doctor"]);
        assert!(mongos.refused().is_empty(), "{:#?}", mongos.refused());
    });
}
