/// Slugs: races, suffixes, old addresses.
mod slugs;
/// Changes that depend on a state.
mod states;

use axum::body::Body;
use axum::http::Method;
use bson::{Bson, Document, doc};
use chrono::TimeDelta;
use docstore::{Database, Filter, Update};
use serde_json::{Value, json};

use crate::support::{App, NOW_MS};
use crate::writing::{ANONYMOUS, stored};

pub(crate) const NO_ID: &str = "65a0b1c2d3e4f50617283940";

pub(crate) fn story(title: &str, is_published: bool) -> Value {
    json!({ "title": title, "content": "<p>text</p>", "is_published": is_published })
}

pub(crate) fn path(story: &Value) -> String {
    format!("/stories/{}", story["id"].as_str().expect("an id"))
}

pub(crate) fn slug_path(story: &Value) -> String {
    format!("/stories/slug/{}", story["slug"].as_str().expect("a slug"))
}

/// Inserts a story as another version of the program may have stored it.
pub(crate) async fn insert_story(db: &Database, slug: &str, more: Document) -> String {
    let at = bson::DateTime::from_millis(NOW_MS);
    let mut document = doc! {
        "title": slug, "content": "c", "is_published": true, "slug": slug, "date": at, "createdDate": at,
        "updatedDate": at, "user_id": NO_ID,
    };
    document.extend(more);
    let id = db.collection("stories").insert_one(document).await.expect("a story is inserted");
    id.as_object_id().expect("an id").to_hex()
}

testkit::stores! {
    async fn a_story_has_the_fields_of_the_contract(db: Database) {
        let app = App::on(&db).await;
        let created = app.post("author", "/stories", &story("Hello, World!", true)).await;
        assert_eq!(created.status, 201);
        let body = created.json();
        let blog = app.get("/sections/slug/blog").await.json();
        let author = stored(&db, "stories", &body["id"]).await.get_str("user_id").unwrap().to_owned();
        let now = "2026-01-02T03:04:05.678000Z";
        let expected = json!({
            "title": "Hello, World!", "content": "<p>text</p>", "is_published": true, "id": body["id"],
            "slug": "hello-world", "date": now, "createdDate": now, "updatedDate": now, "user_id": author,
            "section_id": blog["id"],
        });
        assert_eq!(body, expected);
        let by_id = app.get_as("commenter", &path(&body)).await;
        let by_slug = app.get("/stories/slug/hello-world").await;
        let list = app.get("/stories").await.json();
        assert_eq!((by_id.json(), by_slug.json(), &list["items"][0]), (body.clone(), body.clone(), &body));
        assert_eq!((&list["total"], &list["limit"], &list["offset"]), (&json!(1), &json!(10), &json!(0)));
        assert!(created.header("etag").len() > 10);
        assert_eq!((by_id.header("etag"), by_slug.header("etag")), (created.header("etag"), created.header("etag")));
        assert_eq!(by_id.header("cache-control"), "private, no-store");
        let held = app.send(Method::GET, "/stories/slug/hello-world", &[("if-none-match", created.header("etag"))]).await;
        assert_eq!(held.status, 304);
    }

    async fn lists_have_windows_the_newest_first(db: Database) {
        let app = App::on(&db).await;
        for title in ["one", "two", "three"] {
            app.create("author", "/stories", &story(title, true)).await;
            app.clock.advance(TimeDelta::seconds(1));
        }
        assert_eq!(app.get("/stories").await.slugs(), ["three", "two", "one"]);
        let second = app.get("/stories?limit=2&offset=2").await;
        assert_eq!(second.slugs(), ["one"]);
        let body = second.json();
        assert_eq!((&body["total"], &body["limit"], &body["offset"]), (&json!(3), &json!(2), &json!(2)));
        assert_eq!(app.get("/stories?limit=3&offset=0").await.slugs(), ["three", "two", "one"]);
        assert!(second.header("link").contains("rel=\"prev\""));
        for (query, kind) in [
            ("limit=0", "greater_than_equal"), ("limit=-1", "greater_than_equal"), ("limit=101", "less_than_equal"),
            ("offset=-1", "greater_than_equal"), ("include_drafts=x", "bool_parsing"),
        ] {
            let name = query.split('=').next().unwrap();
            let errors = app.get(&format!("/stories?{query}")).await.errors();
            assert_eq!(errors, [(json!(["query", name]), kind.to_owned())], "{query}");
        }
    }

    async fn owners_and_administrators_change_and_delete(db: Database) {
        let app = App::on(&db).await;
        let by_author = app.create("author", "/stories", &story("Mine", true)).await;
        let nobodys = insert_story(&db, "nobodys", doc! { "user_id": Bson::Null }).await;
        for (who, status) in [(ANONYMOUS, 401), ("stranger", 401), ("commenter", 403), ("author", 200), ("admin", 200)] {
            assert_eq!(app.put(who, &path(&by_author), &story("Mine", true)).await.status, status, "{who}");
        }
        for (who, status) in [(ANONYMOUS, 401), ("commenter", 403), ("author", 403), ("admin", 200)] {
            assert_eq!(app.put(who, &format!("/stories/{nobodys}"), &story("n", true)).await.status, status, "{who}");
        }
        for (who, status) in [(ANONYMOUS, 401), ("stranger", 401), ("commenter", 403), ("author", 204), ("author", 404)] {
            assert_eq!(app.delete(who, &path(&by_author)).await.status, status, "{who}");
        }
        let answer = app.delete("admin", &format!("/stories/{nobodys}")).await;
        assert_eq!((answer.status.as_u16(), answer.bytes.len(), answer.header("content-type")), (204, 0, "application/json"));
    }

    async fn checks_come_in_the_order_of_the_contract(db: Database) {
        let app = App::on(&db).await;
        let foreign = format!("/stories/{}", insert_story(&db, "foreign", doc! {}).await);
        let broken = app.write("author", Method::POST, "/stories", &[], "{\"title\": }").await;
        assert_eq!(broken.errors(), [(json!(["body", 10]), "json_invalid".to_owned())]);
        assert_eq!(app.put("author", "/stories/zzz", &json!({ "title": "" })).await.status, 422);
        assert_eq!(app.put(ANONYMOUS, "/stories/zzz", &json!({})).await.status, 401);
        let anonymous = app.put(ANONYMOUS, "/stories/zzz", &story("x", true)).await;
        assert_eq!((anonymous.status.as_u16(), anonymous.header("www-authenticate")), (401, "Bearer"));
        for (method, body) in [(Method::PUT, story("x", true).to_string()), (Method::DELETE, String::new()), (Method::GET, String::new())] {
            let bad = app.write("author", method.clone(), "/stories/zzz", &[], body.clone()).await;
            assert_eq!(bad.status, 400, "{method}");
            assert!(bad.json()["detail"].as_str().unwrap().to_lowercase().contains("invalid"));
            let none = app.write("author", method.clone(), &format!("/stories/{NO_ID}"), &[], body).await;
            assert_eq!(none.status, 404, "{method}");
            assert!(none.json()["detail"].as_str().unwrap().contains("not found"));
        }
        let stale = app.put_if("author", &foreign, "\"x\"", &story("x", true)).await;
        assert_eq!(stale.status, 403);
        let section = json!({ "title": "x", "content": "x", "is_published": true, "section_id": "zzz" });
        assert_eq!(app.post("commenter", "/stories", &section).await.status, 403);
        assert_eq!(app.put("author", &foreign, &section).await.status, 403);
        assert_eq!(app.get("/stories/slug/none").await.status, 404);
    }

    async fn fields_are_judged_together_and_the_store_is_unchanged(db: Database) {
        let app = App::on(&db).await;
        let created = app.create("author", "/stories", &story("Kept", true)).await;
        let before = testkit::dump!(db);
        let long = |n: usize| "ä".repeat(n);
        let all = json!({ "title": "", "content": { "$gt": "" }, "section_id": 5 });
        let expected = [("title", "string_too_short"), ("content", "string_type"), ("is_published", "missing"), ("section_id", "string_type")]
            .map(|(field, kind)| (json!(["body", field]), kind.to_owned()));
        assert_eq!(app.post("author", "/stories", &all).await.errors(), expected);
        let [title, content, _, section] = expected;
        assert_eq!(app.put("author", &path(&created), &all).await.errors(), [title, content, section]);
        for (body, kind) in [
            (json!({ "title": long(201), "content": "x", "is_published": true }), "string_too_long"),
            (json!({ "title": "x", "content": long(100_001), "is_published": true }), "string_too_long"),
            (json!({ "title": "x", "content": "x", "is_published": "maybe" }), "bool_parsing"),
            (json!({ "title": "x", "content": "x", "is_published": true, "section_id": "zzz" }), "value_error"),
        ] {
            assert_eq!(app.post("author", "/stories", &body).await.errors()[0].1, kind);
            assert_eq!(app.put("author", &path(&created), &body).await.errors()[0].1, kind);
        }
        assert_eq!(testkit::dump!(db), before);
    }

    async fn limits_count_characters_and_types_are_read_leniently(db: Database) {
        let app = App::on(&db).await;
        let body = json!({ "title": "ä".repeat(200), "content": "ü".repeat(100_000), "is_published": "on", "_id": "x", "deleted": true, "slug": "mine" });
        let created = app.write("author", Method::POST, "/stories", &[("content-type", "application/json")], body.to_string()).await;
        assert_eq!(created.status, 201);
        let created = created.json();
        assert_eq!((&created["is_published"], &created["slug"]), (&json!(true), &json!("a".repeat(200))));
        // The frontend sends the whole story back.
        let mut whole = created.clone();
        whole["content"] = json!("changed");
        let changed = app.put("author", &path(&created), &whole).await;
        assert_eq!((changed.status.as_u16(), changed.json()), (200, whole));
    }
}
