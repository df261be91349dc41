use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Method;
use bson::{Bson, Document, doc, oid::ObjectId};
use chrono::TimeDelta;
use docstore::{Database, Filter, Update};
use serde_json::{Value, json};

use crate::support::{App, NOW_MS, insert, section};
use crate::writing::{NOBODY, stored};

const NO_ID: &str = "65a0b1c2d3e4f50617283940";

fn story(title: &str, is_published: bool) -> Value {
    json!({ "title": title, "content": "<p>text</p>", "is_published": is_published })
}

fn path(story: &Value) -> String {
    format!("/stories/{}", story["id"].as_str().expect("an id"))
}

fn slug_path(story: &Value) -> String {
    format!("/stories/slug/{}", story["slug"].as_str().expect("a slug"))
}

/// A story as a program of another age may have left it.
async fn left(db: &Database, slug: &str, more: Document) -> String {
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
        let made = app.post("author", "/stories", &story("Hello, World!", true)).await;
        assert_eq!(made.status, 201);
        let body = made.json();
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
        assert!(made.header("etag").len() > 10);
        assert_eq!((by_id.header("etag"), by_slug.header("etag")), (made.header("etag"), made.header("etag")));
        assert_eq!(by_id.header("cache-control"), "private, no-store");
        let held = app.send(Method::GET, "/stories/slug/hello-world", &[("if-none-match", made.header("etag"))]).await;
        assert_eq!(held.status, 304);
    }

    async fn lists_have_windows_the_newest_first(db: Database) {
        let app = App::on(&db).await;
        for title in ["one", "two", "three"] {
            app.made("author", "/stories", &story(title, true)).await;
            app.clock.advance(TimeDelta::seconds(1));
        }
        assert_eq!(app.get("/stories").await.slugs(), ["three", "two", "one"]);
        let second = app.get("/stories?limit=2&offset=2").await;
        assert_eq!((second.slugs(), &second.json()["total"]), (vec!["one".to_owned()], &json!(3)));
        assert!(second.header("link").contains("rel=\"prev\""));
        for (query, kind) in [
            ("limit=0", "greater_than_equal"), ("limit=-1", "greater_than_equal"), ("limit=51", "less_than_equal"),
            ("limit=100", "less_than_equal"), ("offset=-1", "greater_than_equal"), ("include_drafts=x", "bool_parsing"),
        ] {
            let name = query.split('=').next().unwrap();
            let errors = app.get(&format!("/stories?{query}")).await.errors();
            assert_eq!(errors, [(json!(["query", name]), kind.to_owned())], "{query}");
        }
    }

    async fn weak_spot_01_drafts_are_for_their_owner_and_for_administrators(db: Database) {
        let app = App::on(&db).await;
        let draft = app.made("author", "/stories", &story("Draft", false)).await;
        let foreign = left(&db, "foreign", doc! { "is_published": false }).await;
        for (who, total) in [(NOBODY, 0), ("stranger", 0), ("commenter", 0), ("author", 1), ("admin", 2)] {
            let list = app.write(who, Method::GET, "/stories?include_drafts=true", &[], Body::empty()).await;
            assert_eq!((list.status.as_u16(), &list.json()["total"]), (200, &json!(total)), "{who}");
            assert_eq!(list.slugs().len(), total, "{who}");
            let plain = app.write(who, Method::GET, "/stories", &[], Body::empty()).await;
            assert_eq!(plain.json()["total"], 0, "{who}");
        }
        for (who, by_id, by_slug) in
            [(NOBODY, 401, 404), ("stranger", 401, 404), ("commenter", 404, 404), ("author", 200, 200), ("admin", 200, 200)]
        {
            let answer = app.write(who, Method::GET, &path(&draft), &[], Body::empty()).await;
            assert_eq!(answer.status, by_id, "{who}");
            let answer = app.write(who, Method::GET, "/stories/slug/draft", &[], Body::empty()).await;
            assert_eq!(answer.status, by_slug, "{who}");
        }
        let foreign = format!("/stories/{foreign}");
        assert_eq!(app.put("author", &foreign, &story("x", true)).await.status, 404);
        assert_eq!(app.delete("author", &foreign).await.status, 404);
        assert_eq!(app.get_as("admin", &foreign).await.status, 200);
    }

    async fn weak_spot_02_authors_and_administrators_create(db: Database) {
        let app = App::on(&db).await;
        for (who, status) in [(NOBODY, 401), ("stranger", 401), ("commenter", 403), ("author", 201), ("admin", 201)] {
            assert_eq!(app.post(who, "/stories", &story("x", true)).await.status, status, "{who}");
        }
        assert_eq!(app.get("/stories").await.json()["total"], 2);
        let mut open = App::closed();
        open.config.authorship = field_notes::domain::Authorship::Open;
        open.open(&db);
        assert_eq!(open.post("commenter", "/stories", &story("x", true)).await.status, 201);
    }

    async fn owners_and_administrators_change_and_delete(db: Database) {
        let app = App::on(&db).await;
        let by_author = app.made("author", "/stories", &story("Mine", true)).await;
        let nobodys = left(&db, "nobodys", doc! { "user_id": Bson::Null }).await;
        for (who, status) in [(NOBODY, 401), ("stranger", 401), ("commenter", 403), ("author", 200), ("admin", 200)] {
            assert_eq!(app.put(who, &path(&by_author), &story("Mine", true)).await.status, status, "{who}");
        }
        for (who, status) in [(NOBODY, 401), ("commenter", 403), ("author", 403), ("admin", 200)] {
            assert_eq!(app.put(who, &format!("/stories/{nobodys}"), &story("n", true)).await.status, status, "{who}");
        }
        for (who, status) in [(NOBODY, 401), ("stranger", 401), ("commenter", 403), ("author", 204), ("author", 404)] {
            assert_eq!(app.delete(who, &path(&by_author)).await.status, status, "{who}");
        }
        let answer = app.delete("admin", &format!("/stories/{nobodys}")).await;
        assert_eq!((answer.status.as_u16(), answer.bytes.len(), answer.header("content-type")), (204, 0, "application/json"));
    }

    async fn checks_come_in_the_order_of_the_contract(db: Database) {
        let app = App::on(&db).await;
        let foreign = format!("/stories/{}", left(&db, "foreign", doc! {}).await);
        let broken = app.write(NOBODY, Method::POST, "/stories", &[], "{\"title\": }").await;
        assert_eq!(broken.errors(), [(json!(["body", 10]), "json_invalid".to_owned())]);
        assert_eq!(app.put(NOBODY, "/stories/zzz", &json!({})).await.status, 422);
        let anonymous = app.put(NOBODY, "/stories/zzz", &story("x", true)).await;
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
        let made = app.made("author", "/stories", &story("Kept", true)).await;
        let before = testkit::dump!(db);
        let long = |n: usize| "ä".repeat(n);
        let all = json!({ "title": "", "content": { "$gt": "" }, "section_id": 5 });
        let expected = [("title", "string_too_short"), ("content", "string_type"), ("is_published", "missing"), ("section_id", "string_type")]
            .map(|(field, kind)| (json!(["body", field]), kind.to_owned()));
        for answer in [app.post("author", "/stories", &all).await, app.put("author", &path(&made), &all).await] {
            assert_eq!(answer.errors(), expected);
        }
        for (body, kind) in [
            (json!({ "title": long(201), "content": "x", "is_published": true }), "string_too_long"),
            (json!({ "title": "x", "content": long(10_001), "is_published": true }), "string_too_long"),
            (json!({ "title": "a\0", "content": "x", "is_published": true }), "value_error"),
            (json!({ "title": "x", "content": "x", "is_published": "maybe" }), "bool_parsing"),
            (json!({ "title": "x", "content": "x", "is_published": true, "section_id": "zzz" }), "value_error"),
            (json!([]), "model_attributes_type"),
        ] {
            assert_eq!(app.post("author", "/stories", &body).await.errors()[0].1, kind);
            assert_eq!(app.put("author", &path(&made), &body).await.errors()[0].1, kind);
        }
        for (body, kind) in [
            (b"".to_vec(), "missing"), (b"{".to_vec(), "json_invalid"), (b"{\"title\": \"\\ud800\"}".to_vec(), "json_invalid"),
            (b"{\"title\": \"\xff\"}".to_vec(), "json_invalid"), (b"[".repeat(10_000), "json_invalid"),
        ] {
            assert_eq!(app.write("author", Method::POST, "/stories", &[], body).await.errors()[0].1, kind);
        }
        let big = app.write("author", Method::POST, "/stories", &[], vec![b' '; 2 << 20]).await;
        assert_eq!((big.status.as_u16(), big.header("content-type")), (413, "application/json"));
        for form in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
            let answer = app.write("author", Method::POST, "/stories", &[("content-type", form)], "title=x").await;
            assert_eq!(answer.status, 415, "{form}");
        }
        let disguised = [("x-http-method-override", "DELETE"), ("content-type", "application/json")];
        assert_eq!(app.write("author", Method::POST, &path(&made), &disguised, "{}").await.status, 405);
        assert_eq!(testkit::dump!(db), before);
    }

    async fn limits_count_characters_and_types_are_read_leniently(db: Database) {
        let app = App::on(&db).await;
        let body = json!({ "title": "ä".repeat(200), "content": "ü".repeat(10_000), "is_published": "on", "_id": "x", "deleted": true, "slug": "mine" });
        let made = app.write("author", Method::POST, "/stories", &[("content-type", "text/plain")], body.to_string()).await;
        assert_eq!(made.status, 201);
        let made = made.json();
        assert_eq!((&made["is_published"], &made["slug"]), (&json!(true), &json!("a".repeat(200))));
        // The frontend sends the whole story back.
        let mut whole = made.clone();
        whole["content"] = json!("changed");
        let changed = app.put("author", &path(&made), &whole).await;
        assert_eq!((changed.status.as_u16(), changed.json()), (200, whole));
    }

    async fn weak_spot_11_equal_titles_at_once_get_different_slugs(db: Database) {
        let app = App::on(&db).await;
        app.made("author", "/stories", &story("First", true)).await;
        let requests = (0..50).map(|_| {
            let router = app.clone();
            async move { router.post("author", "/stories", &story("Same Title", true)).await }
        });
        let answers = app.at_once(requests).await;
        let slugs: BTreeSet<String> =
            answers.iter().map(|a| { assert_eq!(a.status, 201); a.json()["slug"].as_str().unwrap().to_owned() }).collect();
        assert_eq!(slugs.len(), 50);
        assert!(slugs.contains("same-title") && slugs.contains("same-title-2"));
        assert!(slugs.iter().all(|slug| slug.starts_with("same-title")));
    }

    async fn suffixes_are_the_first_that_are_free(db: Database) {
        let app = App::on(&db).await;
        for n in 1..=12 {
            let made = app.made("author", "/stories", &story("T", true)).await;
            assert_eq!(made["slug"], if n == 1 { "t".to_owned() } else { format!("t-{n}") });
        }
        // Its own slug is no clash.
        let list = app.get("/stories?limit=50").await.json();
        let fifth = list["items"].as_array().unwrap().iter().find(|item| item["slug"] == "t-5").unwrap().clone();
        assert_eq!(app.put("author", &path(&fifth), &story("t!", true)).await.json()["slug"], "t-5");
    }

    async fn weak_spot_12_the_title_of_a_deleted_story_can_be_used_again(db: Database) {
        let app = App::on(&db).await;
        for _ in 0..3 {
            let made = app.made("author", "/stories", &story("Again", true)).await;
            assert_eq!(made["slug"], "again");
            assert_eq!(app.delete("author", &path(&made)).await.status, 204);
        }
        // As the original deletes.
        left(&db, "theirs", doc! { "deleted": true }).await;
        left(&db, "seeded", doc! { "is_deleted": true }).await;
        assert_eq!(app.made("author", "/stories", &story("Theirs", true)).await["slug"], "theirs");
        let other = app.made("author", "/stories", &story("Other", true)).await;
        assert_eq!(app.put("author", &path(&other), &story("Seeded", true)).await.json()["slug"], "seeded");
        // What can be restored knows what it was called.
        let aside = Filter::and([Filter::eq("slug_before", "again"), Filter::starts_with("slug", "~")]);
        assert_eq!(db.collection("stories").count(&aside).await.unwrap(), 2);
        assert_eq!(app.get("/stories").await.json()["total"], 2);
    }

    async fn weak_spot_13_every_title_has_an_address_and_old_addresses_lead_on(db: Database) {
        let app = App::on(&db).await;
        let made = app.made("author", "/stories", &story("!!!", true)).await;
        assert_eq!(made["slug"], made["id"]);
        assert_eq!(app.get(&slug_path(&made)).await.status, 200);
        assert_eq!(app.made("author", "/stories", &story("Café 北京", true)).await["slug"], "cafe-bei-jing");

        let led = async |slug: &str| {
            let answer = app.get(&format!("/stories/slug/{slug}")).await;
            (answer.status.as_u16(), answer.header("location").to_owned())
        };
        let made = app.made("author", "/stories", &story("A", true)).await;
        for title in ["B", "C", "A", "D"] {
            assert_eq!(app.put("author", &path(&made), &story(title, true)).await.status, 200);
        }
        for old in ["a", "b", "c"] {
            assert_eq!(led(old).await, (301, "/stories/slug/d".to_owned()), "{old}");
        }
        assert_eq!(app.get("/stories/slug/a").await.header("cache-control"), "no-store");
        // A live story wins; when it goes, the old address leads on again.
        let other = app.made("author", "/stories", &story("B", true)).await;
        assert_eq!((other["slug"].as_str(), led("b").await.0), (Some("b"), 200));
        assert_eq!(app.delete("author", &path(&other)).await.status, 204);
        assert_eq!(led("b").await, (301, "/stories/slug/d".to_owned()));
        // Whoever had it last has it.
        let third = app.made("author", "/stories", &story("C", true)).await;
        assert_eq!(app.put("author", &path(&third), &story("E", true)).await.status, 200);
        assert_eq!(led("c").await, (301, "/stories/slug/e".to_owned()));
        // Where it leads is shown to those who may see it.
        assert_eq!(app.put("author", &path(&made), &story("D", false)).await.status, 200);
        assert_eq!(led("a").await, (404, String::new()));
        assert_eq!(app.get_as("author", "/stories/slug/a").await.status, 301);
        assert_eq!(app.delete("author", &path(&made)).await.status, 204);
        assert_eq!(app.get_as("author", "/stories/slug/a").await.status, 404);
        assert_eq!(led("d").await.0, 404);
    }

    async fn weak_spot_14_deletion_has_two_marks(db: Database) {
        let app = App::on(&db).await;
        for (slug, mark) in [("one", "deleted"), ("two", "is_deleted")] {
            let id = left(&db, slug, doc! { mark: true }).await;
            assert_eq!(app.get_as("admin", &format!("/stories/{id}")).await.status, 404);
            assert_eq!(app.get(&format!("/stories/slug/{slug}")).await.status, 404);
            assert_eq!(app.delete("admin", &format!("/stories/{id}")).await.status, 404);
        }
        assert_eq!(app.get("/stories").await.json()["total"], 0);
        let made = app.made("author", "/stories", &story("x", true)).await;
        app.clock.advance(TimeDelta::seconds(1));
        assert_eq!(app.delete("author", &path(&made)).await.status, 204);
        let document = stored(&db, "stories", &made["id"]).await;
        assert!(document.get_bool("deleted").unwrap() && document.get_bool("is_deleted").unwrap());
        assert_eq!(document.get("updatedDate"), document.get("createdDate"));
    }

    async fn weak_spot_15_references_are_read_in_both_types(db: Database) {
        let app = App::on(&db).await;
        let (section, owner) = (ObjectId::new(), ObjectId::new());
        let id = left(&db, "typed", doc! { "section_id": section, "user_id": owner }).await;
        left(&db, "text", doc! { "section_id": section.to_hex() }).await;
        let body = app.get_as("admin", &format!("/stories/{id}")).await.json();
        assert_eq!((&body["section_id"], &body["user_id"]), (&json!(section.to_hex()), &json!(owner.to_hex())));
        let list = app.get(&format!("/stories?section_id={}", section.to_hex())).await;
        assert_eq!(list.json()["total"], 2);
        assert_eq!(app.get(&format!("/stories?section_id={NO_ID}")).await.json()["total"], 0);
        assert_eq!(app.get("/stories?section_id=zzz").await.status, 400);
    }

    async fn weak_spot_16_stories_have_a_section(db: Database) {
        let app = App::on(&db).await;
        let id = |slug: &'static str| { let app = &app; async move { app.get(&format!("/sections/slug/{slug}")).await.json()["id"].clone() } };
        let first = insert(&db, section("first", doc! { "sort_order": -1 })).await;
        let with = |section: &Value| json!({ "title": "x", "content": "x", "is_published": true, "section_id": section });
        assert_eq!(app.made("author", "/stories", &with(&json!(null))).await["section_id"], json!(first));
        let made = app.made("author", "/stories", &with(&id("blog").await)).await;
        assert_eq!(made["section_id"], id("blog").await);
        for wrong in [id("projects").await, json!(NO_ID), json!(""), json!("zzz")] {
            let expected = [(json!(["body", "section_id"]), "value_error".to_owned())];
            assert_eq!(app.post("author", "/stories", &with(&wrong)).await.errors(), expected);
            assert_eq!(app.put("author", &path(&made), &with(&wrong)).await.errors(), expected);
        }
        assert_eq!(app.put("author", &path(&made), &story("x", true)).await.json()["section_id"], id("blog").await);
        assert_eq!(app.put("author", &path(&made), &with(&json!(first))).await.json()["section_id"], json!(first));
        // The section is gone; what hangs in it can still be edited by a client that sends all back.
        let gone = Update::new().set("deleted", true);
        db.collection("sections").update_one(&Filter::eq("slug", "first"), &gone).await.unwrap();
        assert_eq!(app.put("author", &path(&made), &with(&json!(first))).await.status, 200);
        db.collection("sections").delete_many(&Filter::All).await.unwrap();
        assert_eq!(app.made("author", "/stories", &story("x", true)).await["section_id"], Value::Null);
    }

    async fn weak_spot_19_the_date_is_that_of_the_first_publication(db: Database) {
        let app = App::on(&db).await;
        let made = app.made("author", "/stories", &story("x", false)).await;
        assert_eq!(made["date"], Value::Null);
        app.clock.advance(TimeDelta::hours(1));
        let published = app.put("author", &path(&made), &story("x", true)).await.json();
        assert_eq!((&published["date"], &published["updatedDate"]), (&json!("2026-01-02T04:04:05.678000Z"), &json!("2026-01-02T04:04:05.678000Z")));
        assert_eq!(published["createdDate"], made["createdDate"]);
        for is_published in [false, true] {
            app.clock.advance(TimeDelta::hours(1));
            let changed = app.put("author", &path(&made), &story("x", is_published)).await.json();
            assert_eq!(changed["date"], published["date"]);
            assert_ne!(changed["updatedDate"], published["updatedDate"]);
        }
        assert_eq!(app.get("/stories").await.json()["items"][0]["date"], published["date"]);
    }

    async fn weak_spot_20_a_bad_document_breaks_no_list(db: Database) {
        let app = App::on(&db).await;
        app.made("author", "/stories", &story("Good", true)).await;
        let bad = left(&db, "bad", doc! { "createdDate": "yesterday" }).await;
        left(&db, "other", doc! { "title": 5 }).await;
        let list = app.get("/stories").await;
        assert_eq!((list.status.as_u16(), list.slugs()), (200, vec!["good".to_owned()]));
        let alone = app.get_as("admin", &format!("/stories/{bad}")).await;
        assert_eq!((alone.status.as_u16(), &alone.json()["detail"]), (500, &json!("Internal Server Error")));
    }

    async fn weak_spot_21_equal_dates_have_an_order(db: Database) {
        let app = App::on(&db).await;
        for n in 0..7 {
            app.made("author", "/stories", &story(&format!("s{n}"), true)).await;
        }
        let all = app.get("/stories").await.slugs();
        let mut windows = Vec::new();
        for offset in 0..7 {
            windows.extend(app.get(&format!("/stories?limit=1&offset={offset}")).await.slugs());
        }
        assert_eq!(windows, all);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 7);
    }

    async fn a_change_of_another_state_is_412(db: Database) {
        let app = App::on(&db).await;
        let made = app.post("author", "/stories", &story("x", true)).await;
        let (first, body) = (made.header("etag").to_owned(), made.json());
        let changed = app.put_if("author", &path(&body), &first, &story("y", true)).await;
        assert_eq!(changed.status, 200);
        let second = changed.header("etag").to_owned();
        assert_ne!(first, second);
        let stale = app.put_if("author", &path(&body), &first, &story("z", true)).await;
        assert_eq!((stale.status.as_u16(), stale.header("etag")), (412, second.as_str()));
        assert!(stale.json()["detail"].as_str().unwrap().contains(&second));
        for never in ["", "x", &format!("W/{second}")] {
            assert_eq!(app.put_if("author", &path(&body), never, &story("z", true)).await.status, 412, "{never:?}");
        }
        let delete = |tag: String| { let (app, path) = (&app, path(&body)); async move {
            app.write("author", Method::DELETE, &path, &[("if-match", &tag)], Body::empty()).await.status.as_u16()
        } };
        assert_eq!(delete(first.clone()).await, 412);
        assert_eq!(app.get(&format!("{}y", "/stories/slug/")).await.json(), changed.json());
        assert_eq!(app.put_if("author", &path(&body), "*", &story("y", true)).await.status, 200);
        assert_eq!(delete(second.clone()).await, 412);
        let third = app.get("/stories/slug/y").await.header("etag").to_owned();
        assert_eq!(delete(format!("{first}, {third}")).await, 204);
    }

    async fn of_many_changes_of_one_state_one_is_made(db: Database) {
        let app = App::on(&db).await;
        let made = app.post("author", "/stories", &story("x", true)).await;
        // A document of the original: no version, and one that wrote it since.
        let unset = Update::new().unset("version");
        db.collection("stories").update_many(&Filter::All, &unset).await.unwrap();
        let tag = app.get("/stories/slug/x").await.header("etag").to_owned();
        let body = made.json();
        for tag in [Some(tag), None] {
            let wanted = if tag.is_some() { 1 } else { 50 };
            let requests = (0..50).map(|n| {
                let app = app.clone();
                let (path, tag) = (path(&body), tag.clone());
                async move {
                    let story = story(&format!("t{n}"), true);
                    match tag {
                        Some(tag) => app.put_if("author", &path, &tag, &story).await,
                        None => app.put("author", &path, &story).await,
                    }
                }
            });
            let answers = app.at_once(requests).await;
            let made = answers.iter().filter(|answer| answer.status == 200).count();
            assert_eq!(made, wanted);
            assert!(answers.iter().all(|answer| matches!(answer.status.as_u16(), 200 | 412)));
        }
        let version = stored(&db, "stories", &body["id"]).await;
        assert_eq!(version.get_i64("version").unwrap(), 51);
    }
}
