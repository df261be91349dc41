use axum::http::Method;
use chrono::TimeDelta;
use docstore::{Database, Filter, Find};
use field_notes::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::support::{Answer, App};
use crate::writing::ANONYMOUS;

const RECORDS: &str = "idempotency_keys";

/// An application at the present time: a server deletes old records by its own clock.
async fn app(db: &Database) -> App {
    let app = App::on(db).await;
    app.clock.advance(SystemClock.now() - app.clock.now());
    app
}

impl App {
    async fn post_with_key(&self, who: &str, path: &str, key: &str, body: &Value) -> Answer {
        self.write(who, Method::POST, path, &[("idempotency-key", key)], body.to_string()).await
    }
}

async fn count(db: &Database, collection: &str) -> u64 {
    db.collection(collection).count(&Filter::All).await.expect("documents are counted")
}

fn story(title: &str) -> Value {
    json!({ "title": title, "content": "<p onclick=x>Text</p>", "is_published": true })
}

/// Returns a path and a body that creates an item there.
fn creates() -> [(&'static str, Value); 4] {
    [
        ("stories", story("A")),
        ("projects", json!({ "title": "A", "summary": "S", "content": "<p>Text</p>" })),
        ("sections", json!({ "title": "A", "display_type": "feed", "content_type": "story" })),
        ("navlinks", json!({ "label": "A", "url": "/" })),
    ]
}

fn same(one: &Answer, other: &Answer) {
    let text = |answer: &Answer| String::from_utf8_lossy(&answer.bytes).into_owned();
    assert_eq!((one.status, text(one)), (other.status, text(other)));
    for name in ["etag", "x-content-sanitized", "content-type"] {
        assert_eq!(one.header(name), other.header(name), "{name}");
    }
}

testkit::stores! {
    async fn repeated_create_with_idempotency_key_returns_first_response(db: Database) {
        let app = app(&db).await;
        for (collection, body) in creates() {
            let path = format!("/{collection}");
            let before = count(&db, collection).await;
            let key = format!("key-of-{collection}");
            let first = app.post_with_key("author", &path, &key, &body).await;
            assert_eq!(first.status, 201, "{}", String::from_utf8_lossy(&first.bytes));
            same(&app.post_with_key("author", &path, &format!("\"{key}\""), &body).await, &first);
            assert_eq!(count(&db, collection).await, before + 1, "{collection}");
            // The response is that of then, whatever has become of the item.
            let item = format!("{path}/{}", first.json()["id"].as_str().expect("an id"));
            assert_eq!(app.delete("admin", &item).await.status, 204);
            same(&app.post_with_key("author", &path, &key, &body).await, &first);
            // Without the key it is another item.
            assert_eq!(app.post("author", &path, &body).await.status, 201);
        }
        assert_eq!(count(&db, RECORDS).await, 4);
    }

    async fn idempotency_key_of_another_request_is_422(db: Database) {
        let app = app(&db).await;
        assert_eq!(app.post_with_key("author", "/stories", "k", &story("A")).await.status, 201);
        for (path, body) in [("/stories", story("B")), ("/projects", creates()[1].1.clone()), ("/navlinks", creates()[3].1.clone())] {
            let reused = app.post_with_key("author", path, "k", &body).await;
            assert_eq!(reused.errors(), [(json!(["header", "Idempotency-Key"]), "value_error".to_owned())], "{path}");
        }
        // Another caller's key is another one.
        let theirs = app.post_with_key("admin", "/stories", "k", &story("A")).await;
        assert_eq!((theirs.status.as_u16(), &theirs.json()["slug"]), (201, &json!("a-2")));
        assert_eq!((count(&db, "stories").await, count(&db, "projects").await), (2, 0));
    }

    async fn idempotency_keys_are_stored_for_created_items_only(db: Database) {
        let app = app(&db).await;
        for key in ["", "\"", "a b", &"k".repeat(256)] {
            assert_eq!(app.post_with_key("author", "/stories", key, &story("A")).await.status, 400, "{key:?}");
            // Credentials come first.
            assert_eq!(app.post_with_key(ANONYMOUS, "/stories", key, &story("A")).await.status, 401);
        }
        assert_eq!(app.post_with_key("commenter", "/stories", "k", &story("A")).await.status, 403);
        assert_eq!(app.post_with_key("author", "/stories", "k", &json!({ "title": "" })).await.status, 422);
        let mut nowhere = story("A");
        nowhere["section_id"] = json!("65a0b1c2d3e4f50617283999");
        assert_eq!(app.post_with_key("author", "/stories", "k", &nowhere).await.status, 422);
        assert_eq!((count(&db, RECORDS).await, count(&db, "stories").await), (0, 0));
        // The key is still free.
        assert_eq!(app.post_with_key("author", "/stories", "k", &story("A")).await.status, 201);
        assert_eq!(app.post("author", "/stories", &story("B")).await.status, 201);
        assert_eq!(count(&db, RECORDS).await, 1);
    }

    async fn concurrent_creates_with_one_idempotency_key_create_one_item(db: Database) {
        let apps = [app(&db).await, app(&db).await];
        for round in 0..5 {
            let send = |n: usize| {
                let (app, key) = (apps[n % 2].clone(), format!("k{round}"));
                async move { app.post_with_key("author", "/stories", &key, &story("Same")).await }
            };
            let answers = apps[0].at_once((0..6).map(send)).await;
            let (created, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
            assert!(!created.is_empty());
            for answer in &created {
                assert_eq!(answer.json()["id"], created[0].json()["id"]);
            }
            assert!(refused.iter().all(|answer| answer.status == 409), "{:?}", refused.iter().map(|a| a.status).collect::<Vec<_>>());
            assert_eq!(count(&db, "stories").await, round + 1);
        }
    }

    async fn idempotency_keys_are_valid_for_24_hours(db: Database) {
        let app = app(&db).await;
        // So that none of them is old by the clock of the server.
        app.clock.advance(TimeDelta::days(2));
        for n in 0..30 {
            assert_eq!(app.post_with_key("author", "/stories", &format!("k{n}"), &story("A")).await.status, 201);
        }
        app.clock.advance(TimeDelta::hours(24) - TimeDelta::milliseconds(1));
        let first = app.post_with_key("author", "/stories", "k0", &story("A")).await;
        assert_eq!(first.json()["slug"], "a");
        app.clock.advance(TimeDelta::milliseconds(1));
        let again = app.post_with_key("author", "/stories", "k0", &story("A")).await;
        assert_eq!((again.status.as_u16(), count(&db, "stories").await), (201, 31));
        // A server deletes records by itself; on the embedded store new ones delete old ones.
        assert_eq!(app.post_with_key("author", "/stories", "l", &story("A")).await.status, 201);
        let embedded = db.kind() == docstore::EngineKind::Embedded;
        assert_eq!(count(&db, RECORDS).await, if embedded { 2 } else { 31 });
        let indexes = db.list_indexes(RECORDS).await.unwrap();
        assert_eq!(indexes[0].expiration(), Some(24 * 60 * 60));
    }

    async fn idempotency_record_and_item_are_one_write(db: Database) {
        let app = app(&db).await;
        // A record that cannot be written: another one has its place, of another type.
        let user = crate::support::user_id(&app, &db, "author", field_notes::identity::AUTHOR_EMAIL).await;
        let record = bson::doc! { "_id": format!("{user}:k"), "createdDate": bson::DateTime::from_chrono(app.clock.now()) };
        db.collection(RECORDS).insert_one(record).await.unwrap();
        assert_eq!(app.post_with_key("author", "/stories", "k", &story("A")).await.status, 422);
        assert_eq!(count(&db, "stories").await, 0);
        // An item that cannot be inserted leaves no record.
        let taken = app.create("author", "/stories", &story("Taken")).await;
        let second = app.post_with_key("author", "/stories", "l", &story("Taken")).await.json();
        assert_eq!((&taken["slug"], &second["slug"]), (&json!("taken"), &json!("taken-2")));
        let find = Find::new(Filter::id(format!("{user}:l")));
        let record = db.collection(RECORDS).find_one(find).await.unwrap().expect("a record");
        assert_eq!(record.get_document("document").unwrap().get_str("slug").unwrap(), "taken-2");
    }

    async fn purged_item_leaves_nothing_in_the_record_of_its_key(db: Database) {
        let app = app(&db).await;
        let mut stories = Vec::new();
        for (key, title) in [("one", "Purged"), ("two", "Stays")] {
            stories.push(app.post_with_key("author", "/stories", key, &story(title)).await.json()["id"].clone());
        }
        let path = format!("/stories/{}", stories[0].as_str().unwrap());
        assert_eq!(app.write("author", Method::DELETE, &path, &[], String::new()).await.status, 204);
        let trash = field_notes::startup::services(&app.config, &db, std::sync::Arc::new(app.clock.clone())).trash;
        assert_eq!(trash.purge_older(field_notes::domain::TrashType::Stories, TimeDelta::zero()).await.unwrap(), 1);
        let records = db.collection(RECORDS).find(Find::new(Filter::All)).await.unwrap().documents().await.unwrap();
        assert_eq!(records.len(), 1);
        assert!(records[0].to_string().contains("Stays"), "{records:?}");
    }
}
