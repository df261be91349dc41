use std::sync::Arc;
use std::time::{Duration, Instant};

use docstore::bson::{Bson, doc};
use docstore::{Database, Filter, Update};
use serde_json::{Value, json};
use testkit::{Mongod, Target};

use crate::program::{Program, Response, Server, open_store};

/// A `CACHE_MAX_BYTES` that responses of a test exceed.
const CACHE_BYTES: u64 = 24 * 1024 * 1024;
/// The memory that compressors and their threads keep.
const ENCODERS: u64 = 12 * 1024 * 1024;

const TIMEOUT: Duration = Duration::from_secs(30);
const HIT: &str = "field-notes; hit";
const STALE: &str = "detail=stale";
/// A `CACHE_MAX_AGE` at which no entry expires during a test.
const NEVER: &str = "86400";

/// Requests until the response meets a condition.
async fn until(server: &Server, path: &str, what: &str, is_so: impl Fn(&Response) -> bool) -> Response {
    let began = Instant::now();
    loop {
        let response = server.look(path).await;
        if is_so(&response) {
            return response;
        }
        assert!(began.elapsed() < TIMEOUT, "{path}: not {what}: {response:?}\n{}", server.output());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until_hit(server: &Server, path: &str) -> Response {
    until(server, path, "a hit", |response| response.status == 200 && response.cache_status == HIT).await
}

fn shows(text: &'static str) -> impl Fn(&Response) -> bool {
    move |response| response.body.contains(text)
}

/// Renames a section directly in the store.
async fn rename(store: &Database, slug: &str, title: &str) {
    let update = Update::new().set("title", title);
    let updated = store.collection("sections").update_one(&Filter::eq("slug", slug), &update).await;
    assert_eq!(updated.expect("the section is updated").matched, 1);
}

/// Asserts that each of two programs on one store sees the writes of the other, although both cached the previous state.
async fn two_see_one_another(program: Program) {
    let program = program.with("CACHE_MAX_AGE", NEVER);
    let (one, two) = (program.serve().await, program.serve().await);
    let link = |label: &str| json!({ "label": label, "url": "/" });
    for (writer, reader, label) in
        [(&one, &two, "first link"), (&two, &one, "second link"), (&one, &two, "third link")]
    {
        until_hit(writer, "/navlinks").await;
        until_hit(reader, "/navlinks").await;
        assert_eq!(writer.post_as_admin("/navlinks", &link(label)).await.0, 201);
        let own = writer.look("/navlinks").await;
        assert!(own.body.contains(label), "the writer's next read shows it: {own:?}");
        until(reader, "/navlinks", label, |response| response.body.contains(label)).await;
    }
    // Collections without writes stay cached.
    until_hit(&one, "/sections").await;
    let verbose: Value = one.get("/readyz?verbose=true").await.1;
    assert!(verbose["rendered"]["lag_ms"].is_u64(), "{verbose}");
}

/// Asserts that a reaction in one process reaches another, and on a replica set invalidates nothing about other targets there.
async fn reactions_reach_another_process(server: &Mongod, is_replica_set: bool) {
    let program = Program::bare()
        .with("ADMIN_EMAIL", "admin@example.com")
        .with("ALLOW_DEV_AUTH", "true")
        .with("CACHE_MAX_AGE", NEVER)
        .with("MONGO_URI", &server.uri());
    let (one, two) = (program.serve().await, program.serve().await);
    let mut paths = Vec::new();
    for title in ["One", "Other"] {
        let story = json!({ "title": title, "content": "c", "is_published": true });
        let (_, story) = one.post_as_admin("/stories", &story).await;
        paths.push(format!("/api/engagement/story/{}/reactions", story["id"].as_str().expect("an id")));
    }
    let [path, other] = &paths[..] else { panic!("two stories") };
    for tag in ["heart", "surprise"] {
        until_hit(&two, path).await;
        until_hit(&two, other).await;
        assert_eq!(one.post_as_admin(path, &json!({ "reaction_tag": tag })).await.1["added"], true);
        assert!(one.look(path).await.body.contains(tag));
        until(&two, path, tag, |response| response.body.contains(tag)).await;
        // Whatever was written before the second reaction was seen with the first one.
        if is_replica_set && tag == "surprise" {
            assert_eq!(two.look(other).await.cache_status, HIT);
        }
    }
    let id = path.split('/').nth(4).expect("an id");
    let targets = json!({ "targets": [{ "type": "story", "id": id }] });
    let (_, counts) = two.post_as_admin("/api/engagement/bulk/counts", &targets).await;
    assert_eq!(counts["counts"][format!("story:{id}")]["reactions"], json!({ "heart": 1, "surprise": 1 }));
}

#[test]
fn reaction_in_one_process_invalidates_its_target_in_another() {
    testkit::with_server_binary(|binary| async move {
        let server = Mongod::replica_set(&binary).await.expect("a server");
        reactions_reach_another_process(&server, true).await;
    });
}

#[test]
fn reactions_are_counted_on_a_standalone_server() {
    testkit::with_server_binary(|binary| async move {
        let server = Mongod::standalone(&binary).await.expect("a server");
        reactions_reach_another_process(&server, false).await;
    });
}

testkit::targets! {
    async fn write_in_one_process_invalidates_the_cache_of_another(target: Arc<Target>) {
        two_see_one_another(Program::on(&target)).await;
    }

    async fn external_edits_invalidate_the_cache(target: Arc<Target>) {
        let server = Program::on(&target).with("CACHE_MAX_AGE", NEVER).serve().await;
        until_hit(&server, "/sections").await;
        let store = open_store(&target).await;
        rename(&store, "blog", "Renamed").await;
        until(&server, "/sections", "renamed", shows("Renamed")).await;
        store.close().await;
    }
}

pub(crate) fn on_server(server: &Mongod) -> Program {
    Program::bare()
        .with("ADMIN_EMAIL", "admin@example.com")
        .with("ALLOW_DEV_AUTH", "true")
        .with("MONGO_URI", &server.uri())
        .with("MONGO_DB_NAME", "notes")
}

pub(crate) async fn store_on(server: &Mongod) -> Database {
    let options = docstore::mongo::Options {
        uri: server.uri(),
        database: Some("notes".to_owned()),
        app_name: "tests".to_owned(),
    };
    docstore::mongo::connect(options).await.expect("the store opens")
}

async fn standalone(binary: std::path::PathBuf) -> (Mongod, Program) {
    let server = Mongod::standalone(&binary).await.expect("a server");
    let program = on_server(&server);
    (server, program)
}

#[test]
fn broken_change_stream_falls_back_to_cache_max_age() {
    testkit::with_server_binary(|binary| async move {
        let mongod = Mongod::replica_set(&binary).await.expect("a server");
        let program = on_server(&mongod).with("CACHE_MAX_AGE", "1").with("RUST_LOG", "info");
        let mut server = program.serve().await;
        until_hit(&server, "/sections").await;
        let store = store_on(&mongod).await;
        let admin = mongod.direct().await.expect("a client").database("admin");
        let fail = |mode: Bson| {
            let refused = doc! { "failCommands": ["aggregate", "getMore"], "errorCode": 13 };
            admin.run_command(doc! { "configureFailPoint": "failCommand", "mode": mode, "data": refused })
        };
        fail("alwaysOn".into()).await.expect("a fail point");
        server.wait_for_output("the change feed broke").await;
        rename(&store, "blog", "Renamed").await;
        until(&server, "/sections", "renamed", shows("Renamed")).await;
        fail("off".into()).await.expect("no fail point");
        until_hit(&server, "/sections").await;
        rename(&store, "blog", "Once more").await;
        until(&server, "/sections", "renamed once more", shows("Once more")).await;
        store.close().await;
    });
}

#[test]
fn standalone_server_processes_see_each_others_writes() {
    testkit::with_server_binary(|binary| async move {
        let (_server, program) = standalone(binary).await;
        two_see_one_another(program).await;
    });
}

#[test]
fn standalone_server_external_edits_appear_after_cache_max_age() {
    testkit::with_server_binary(|binary| async move {
        let (mongod, program) = standalone(binary).await;
        let server = program.with("CACHE_MAX_AGE", "1").serve().await;
        until_hit(&server, "/sections").await;
        let store = store_on(&mongod).await;
        rename(&store, "blog", "Renamed").await;
        until(&server, "/sections", "renamed", shows("Renamed")).await;
        store.close().await;
    });
}

#[test]
fn stale_responses_are_served_while_the_store_is_down() {
    testkit::with_server_binary(|binary| async move {
        let (mut mongod, program) = standalone(binary).await;
        let server = program.with("CACHE_MAX_AGE", "1").serve().await;
        let before = until_hit(&server, "/sections").await;
        mongod.kill().expect("the server is killed");
        let stale = |response: &Response| response.cache_status.contains(STALE);
        let old = until(&server, "/sections", "stale", stale).await;
        assert_eq!((old.status, &old.body), (200, &before.body));
        let ready = until(&server, "/readyz", "degraded", shows("degraded")).await;
        assert_eq!(ready.status, 200);
        let link = json!({ "label": "a", "url": "/" });
        let ((status, refused), other) =
            tokio::join!(server.post_as_admin("/navlinks", &link), server.look("/projects"));
        assert_eq!(status, 503, "{refused}");
        assert_eq!(other.status, 503);
        mongod.restart().await.expect("the server is started again");
        until_hit(&server, "/sections").await;
        until(&server, "/readyz", "ready", shows("\"ready\"")).await;
    });
}

/// Fills the cache of a server with responses in several encodings, more than it holds. Returns the process's memory.
async fn memory_after_many_responses(cache_bytes: u64) -> u64 {
    let program = Program::bare()
        .with("ADMIN_EMAIL", "admin@example.com")
        .with("ALLOW_DEV_AUTH", "true")
        .with("RATE_LIMITS", "off")
        .with("CACHE_MAX_BYTES", &cache_bytes.to_string());
    let server = program.serve().await;
    let mut state = 1_u64;
    let mut word = || {
        // Text that does not compress to nothing.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{state:016x}")
    };
    for n in 0..20 {
        let text: String = (0..5000).map(|_| word()).collect();
        let story = json!({ "title": format!("Story {n}"), "content": text, "is_published": true });
        assert_eq!(server.post_as_admin("/stories", &story).await.0, 201);
    }
    let client = reqwest::Client::new();
    for (limit, offset) in (1..7).flat_map(|limit| (0..15).map(move |offset| (limit, offset))) {
        for encoding in ["identity", "gzip"] {
            let path = format!("/stories?limit={limit}&offset={offset}");
            let request = client.get(format!("{}{path}", server.base())).header("accept-encoding", encoding);
            let response = request.send().await.expect("an answer");
            assert_eq!(response.status(), 200);
            response.bytes().await.expect("its body");
        }
    }
    if cache_bytes > 0 {
        let verbose: Value = server.get("/readyz?verbose=true").await.1;
        let counted = verbose["rendered"]["bytes"].as_u64().expect("a number");
        assert!((cache_bytes / 2..=cache_bytes).contains(&counted), "{verbose}");
    }
    server.resident_kib() * 1024
}

#[tokio::test]
async fn cache_limit_covers_the_memory_of_all_variants() {
    let without = memory_after_many_responses(0).await;
    let with = memory_after_many_responses(CACHE_BYTES).await;
    let taken = with.saturating_sub(without);
    assert!(taken <= CACHE_BYTES + CACHE_BYTES / 5 + ENCODERS, "{taken} bytes");
}
