use docstore::bson::{Bson, Document, doc};
use docstore::{Database, Filter, Update};
use serde_json::{Value, json};
use testkit::Mongod;

use crate::cache::{on_server, store_on};
use crate::program::Server;

impl Server {
    async fn post_with_key(&self, key: &str, title: &str) -> (u16, Value) {
        self.post_as_admin_with("/stories", &[("idempotency-key", key)], &story(title)).await
    }
}

fn story(title: &str) -> Value {
    json!({ "title": title, "content": "<p>Text</p>", "is_published": true })
}

async fn stories(store: &Database) -> u64 {
    store.collection("stories").count(&Filter::All).await.expect("documents are counted")
}

async fn fail(server: &Mongod, mode: impl Into<Bson>, how: Document) {
    let admin = server.direct().await.expect("a client").database("admin");
    let command = doc! { "configureFailPoint": "failCommand", "mode": mode.into(), "data": how };
    admin.run_command(command).await.expect("a fail point");
}

#[test]
fn create_without_confirmation_has_unknown_outcome_and_can_be_repeated() {
    testkit::with_server_binary(|binary| async move {
        let mut mongod = Mongod::replica_set(&binary).await.expect("a server");
        let uri = format!("{}&serverSelectionTimeoutMS=1000", mongod.uri());
        let server = on_server(&mongod).with("MONGO_URI", &uri).serve().await;
        let store = store_on(&mongod).await;
        // So that the caller is known, and the failures meet the story alone.
        assert_eq!(server.post_with_key("first", "First").await.0, 201);
        let unconfirmed = doc! { "code": 64, "errmsg": "waiting for replication timed out" };
        let failing = |command: &str| {
            doc! { "failCommands": [command], "writeConcernError": unconfirmed.clone() }
        };
        fail(&mongod, "alwaysOn", failing("commitTransaction")).await;
        let (status, body) = server.post_with_key("k", "Lost reply").await;
        assert_eq!((status, &body["outcome"]), (503, &json!("unknown")), "{body}");
        fail(&mongod, "alwaysOn", failing("insert")).await;
        let (status, body) = server.post_as_admin("/stories", &story("Plain")).await;
        assert_eq!((status, &body["outcome"]), (503, &json!("unknown")), "{body}");
        fail(&mongod, "off", doc! {}).await;
        assert_eq!(stories(&store).await, 3);
        let (status, repeated) = server.post_with_key("k", "Lost reply").await;
        assert_eq!((status, &repeated["slug"]), (201, &json!("lost-reply")), "{repeated}");
        assert_eq!(server.post_with_key("k", "Lost reply").await, (201, repeated));
        assert_eq!(stories(&store).await, 3);
        store.close().await;
        // What was not even sent was certainly not executed.
        mongod.kill().expect("the server is killed");
        let (status, body) = server.post_with_key("l", "Never sent").await;
        assert_eq!((status, body.get("outcome")), (503, None), "{body}");
    });
}

#[test]
fn reorder_is_repeated_after_its_transaction_ended() {
    testkit::with_server_binary(|binary| async move {
        let mongod = Mongod::replica_set(&binary).await.expect("a server");
        let server = on_server(&mongod).serve().await;
        let (_, sections) = server.get("/sections").await;
        let ids = sections["items"].as_array().expect("a list").iter().rev().map(|section| &section["id"]);
        let places: Vec<Value> =
            ids.zip(0..).map(|(id, place)| json!({ "id": id, "sort_order": place })).collect();
        // As after a failover, which ends the transactions of the former primary.
        let ended = doc! {
            "failCommands": ["commitTransaction"], "errorCode": 251, "errorLabels": ["TransientTransactionError"],
        };
        fail(&mongod, doc! { "times": 1 }, ended).await;
        let request = reqwest::Client::new().put(format!("{}/sections/order", server.base()));
        let answer = request.bearer_auth("dev-mock-admin").json(&places).send().await.expect("an answer");
        assert_eq!(answer.status(), 204);
        assert_eq!(server.section_slugs().await, ["contact", "projects", "about", "blog"]);
    });
}

#[test]
fn create_on_standalone_server_resumes_after_the_process_died() {
    testkit::with_server_binary(|binary| async move {
        let mongod = Mongod::standalone(&binary).await.expect("a server");
        let server = on_server(&mongod).serve().await;
        let store = store_on(&mongod).await;
        let first = server.post_with_key("k", "Title").await;
        assert_eq!(first.0, 201);
        assert_eq!(server.post_with_key("k", "Title").await, first);
        assert_eq!(server.post_with_key("k", "Other").await.0, 422);
        let records = store.collection("idempotency_keys");
        // As if the process had died after it inserted the story.
        records.update_many(&Filter::All, &Update::new().unset("document")).await.expect("an update");
        assert_eq!(server.post_with_key("k", "Title").await, first);
        assert_eq!(stories(&store).await, 1);
        // As if it had died before. The story gets the id that the record names.
        records.update_many(&Filter::All, &Update::new().unset("document")).await.expect("an update");
        store.collection("stories").delete_many(&Filter::All).await.expect("a deletion");
        let (status, resumed) = server.post_with_key("k", "Title").await;
        assert_eq!((status, &resumed["id"]), (201, &first.1["id"]));
        assert_eq!(server.post_with_key("k", "Title").await, (201, resumed));
        assert_eq!(stories(&store).await, 1);
        store.close().await;
    });
}
