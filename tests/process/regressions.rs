use std::fs;
use std::sync::Arc;

use docstore::bson::{DateTime, Document, doc, oid::ObjectId};
use docstore::{Filter, Index, Update};
use field_notes::config::{Config, StoreConfig};
use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::{Mongod, Target};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::program::{Program, open_store};

/// A token that looks like one of Google's.
const TOKEN: &str = "ya29.correct-horse-battery-staple";

fn story(more: Document) -> Document {
    let mut story = doc! {
        "_id": ObjectId::new(), "title": "t", "content": "c", "user_id": ObjectId::new().to_hex(),
        "section_id": ObjectId::new().to_hex(),
    };
    story.extend(more);
    story
}

testkit::targets! {
    async fn regression_04_no_log_line_holds_a_token(target: Arc<Target>) {
        let google = MockServer::start().await;
        let info = json!({
            "aud": "ours", "sub": "42", "scope": "https://www.googleapis.com/auth/userinfo.email", "exp": "4102444800",
            "email": "jo@example.com", "email_verified": "true",
        });
        Mock::given(path("/oauth2/v3/tokeninfo")).respond_with(ResponseTemplate::new(200).set_body_json(info)).mount(&google).await;
        let program = Program::on(&target)
            .with("GOOGLE_CLIENT_ID", "ours")
            .with("GOOGLE_API_BASE", &google.uri())
            .with("RUST_LOG", "trace");
        let server = program.serve().await;
        assert_eq!(server.ask("/me", TOKEN).await.status(), 200);
        assert_eq!(server.ask("/me", "dev-mock-admin").await.status(), 200);
        assert_eq!(server.ask("/sections/zzz", TOKEN).await.status(), 400);
        assert_eq!(server.ask("/sections?limit=0", TOKEN).await.status(), 422);
        // If Google fails, so does the request.
        google.reset().await;
        Mock::given(path("/oauth2/v3/tokeninfo")).respond_with(ResponseTemplate::new(500)).mount(&google).await;
        assert_eq!(server.ask("/me", &format!("{TOKEN}-2")).await.status(), 503);
        let output = server.output();
        assert!(output.contains("TRACE"), "all is logged: {output}");
        assert_eq!(output.lines().find(|line| line.contains(TOKEN)), None);
    }

    async fn regression_22_a_start_changes_no_content(target: Arc<Target>) {
        let program = Program::on(&target);
        program.run(&["migrate", "up"]).expect(0);
        let store = open_store(&target).await;
        let at = DateTime::from_millis(1_700_000_000_000);
        let stories = vec![
            story(doc! { "slug": "no-flag", "createdDate": at, "updatedDate": at }),
            story(doc! { "slug": "no-update", "is_published": false, "date": at, "createdDate": DateTime::from_millis(0) }),
            story(doc! { "is_published": false, "date": at }),
        ];
        store.collection("stories").insert_many(stories).await.unwrap();
        let before = testkit::dump!(store);
        for _ in 0..2 {
            let server = program.serve().await;
            assert_eq!(server.get("/stories").await.1["total"], 0);
        }
        assert_eq!(testkit::dump!(store)["stories"], before["stories"]);
        store.close().await;
    }

    async fn regression_26_without_its_indexes_nothing_is_served(target: Arc<Target>) {
        let program = Program::on(&target).with("ON_START_FAILURE", "stay");
        let store = open_store(&target).await;
        // The original accepted both as existing: an index of another kind, and one that cannot be created.
        store.ensure_index("pages", &Index::on(["page_type"])).await.unwrap();
        let mut server = program.spawn();
        let failed = server.wait_for_readyz(|body| body["status"] == "failed").await;
        assert_eq!(failed["phase"], "indexes");
        for part in ["pages", "page_type_1", "a different one exists"] {
            assert!(failed["detail"].as_str().unwrap().contains(part), "{failed}");
        }
        assert_eq!(server.get("/pages/about").await.0, 503);
        server.signal("TERM");
        assert_eq!(server.wait(), Some(0));

        store.drop_index("pages", "page_type_1").await.unwrap();
        let twice = vec![doc! { "page_type": "about", "title": "About us" }, doc! { "page_type": "about" }];
        store.collection("pages").insert_many(twice).await.unwrap();
        let result = Program::on(&target).with("PORT", "0").run(&["serve"]).expect(1);
        assert!(result.stderr.contains("page_type_1") && result.stderr.contains("pages"), "{}", result.stderr);
        assert!(result.stderr.contains("\"about\": ") && result.stderr.contains("\"About us\""), "{}", result.stderr);

        let other = Update::new().set("page_type", "contact");
        store.collection("pages").update_one(&Filter::missing("title"), &other).await.unwrap();
        assert_eq!(Program::on(&target).serve().await.get("/sections").await.0, 200);
        store.close().await;
    }
}

/// MongoDB only: the embedded store is part of the process.
#[test]
fn regression_34_without_the_store_it_is_503() {
    testkit::with_server_binary(|binary| async move {
        let mut mongod = Mongod::standalone(&binary).await.expect("a server");
        let program = Program::bare()
            .with("ADMIN_EMAIL", "admin@example.com")
            .with("ALLOW_DEV_AUTH", "true")
            .with("MONGO_URI", &mongod.uri())
            .with("REQUEST_TIMEOUT_SECONDS", "5")
            .with("ON_START_FAILURE", "stay");
        let mut server = program.serve().await;
        assert_eq!(server.get("/sections").await.0, 200);
        mongod.kill().expect("it can be killed");
        // A process that starts now is alive and reports the phase. Each of these waits for the server.
        let mut second = program.spawn();
        let failed = second.wait_for_readyz(|body| body["status"] == "failed");
        let paths = ["/sections", "/stories/slug/none", "/me"];
        let answers = join_all(paths.map(|path| server.ask(path, "dev-mock-admin")));
        let (failed, answers) = tokio::join!(failed, answers);
        assert_eq!(failed["phase"], "opening the store");
        assert_eq!(second.get("/sections").await.0, 503);
        for (path, answer) in paths.into_iter().zip(answers) {
            assert_eq!(answer.status(), 503, "{path}");
            let again = answer.headers()["retry-after"].to_str().unwrap().parse::<u32>();
            assert!(again.is_ok_and(|seconds| seconds > 0), "{path}");
            let text = answer.text().await.unwrap();
            assert!(
                serde_json::from_str::<Value>(&text).is_ok_and(|body| body.is_object()),
                "{path}: {text}"
            );
            for inside in ["mongo", "Mongo", "127.0.0.1", "topology", "Server selection"] {
                assert!(!text.contains(inside), "{path}: {text}");
            }
        }
        // Cached public responses are still served, and readiness is degraded.
        assert_eq!(server.get("/sections").await.0, 200);
        let (ready, body) = server.get("/readyz").await;
        assert_eq!((ready, &body["status"], &body["database"]), (200, &"degraded".into(), &"failed".into()));
        assert_eq!(server.get("/livez").await.0, 200);

        mongod.restart().await.expect("it starts again");
        server.wait_until_ready().await;
        let (status, _) = server.get_as_admin("/sections").await;
        assert_eq!(status, 200);
    });
}

#[tokio::test]
async fn regression_36_the_example_is_enough_to_start() {
    let program = Program::bare();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example");
    fs::copy(example, program.folder().join(".env")).expect("the example is copied");
    let text = fs::read_to_string(example).expect("the example is read");
    for needed in ["ADMIN_EMAIL=", "MONGO_URI="] {
        assert!(text.lines().any(|line| line.trim_start_matches(['#', ' ']).starts_with(needed)), "{needed}");
    }
    let server = program.serve().await;
    assert_eq!(server.section_slugs().await, ["blog", "about", "projects", "contact"]);
    assert_eq!(server.get_as_admin("/me").await.1["role"], "admin");
}

#[test]
fn regression_36_passwords_are_escaped() {
    let (user, password) = ("me@home/x", "p@ss:w/rd?#[%41]&é$x");
    let lookup = |name: &str| match name {
        "ADMIN_EMAIL" => Some("admin@example.com".to_owned()),
        "MONGO_USER" => Some(user.to_owned()),
        "MONGO_PASSWORD" => Some(password.to_owned()),
        "MONGO_CLUSTER" => Some("c0".to_owned()),
        "MONGO_HOST" => Some("x.mongodb.net".to_owned()),
        _ => None,
    };
    let StoreConfig::Mongo { uri, .. } = Config::read(lookup).expect("it is good").store else {
        panic!("MongoDB was asked for")
    };
    let address = url::Url::parse(&uri).expect("it is an address");
    assert_eq!(address.host_str(), Some("c0.x.mongodb.net"));
    let read = |text: &str| {
        url::form_urlencoded::parse(format!("x={text}").as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
    };
    assert_eq!(read(address.username()).as_deref(), Some(user));
    assert_eq!(read(address.password().unwrap_or_default()).as_deref(), Some(password));
}
