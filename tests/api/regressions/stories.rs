use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Method;
use bson::{doc, oid::ObjectId};
use chrono::TimeDelta;
use docstore::{Database, Filter, Update};
use serde_json::{Value, json};

use crate::stories::{NO_ID, insert_story, path, slug_path, story};
use crate::support::{App, insert, section};
use crate::writing::{ANONYMOUS, stored};

testkit::stores! {
    async fn regression_01_drafts_are_for_their_owner_and_for_administrators(db: Database) {
        let app = App::on(&db).await;
        let draft = app.create("author", "/stories", &story("Draft", false)).await;
        let foreign = insert_story(&db, "foreign", doc! { "is_published": false }).await;
        for (who, total) in [(ANONYMOUS, 0), ("stranger", 0), ("commenter", 0), ("author", 1), ("admin", 2)] {
            let list = app.write(who, Method::GET, "/stories?include_drafts=true", &[], Body::empty()).await;
            assert_eq!((list.status.as_u16(), &list.json()["total"]), (200, &json!(total)), "{who}");
            assert_eq!(list.slugs().len(), total, "{who}");
            let plain = app.write(who, Method::GET, "/stories", &[], Body::empty()).await;
            assert_eq!(plain.json()["total"], 0, "{who}");
        }
        for (who, by_id, by_slug) in
            [(ANONYMOUS, 401, 404), ("stranger", 401, 404), ("commenter", 404, 404), ("author", 200, 200), ("admin", 200, 200)]
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

    async fn regression_02_authors_and_administrators_create(db: Database) {
        let app = App::on(&db).await;
        for (who, status) in [(ANONYMOUS, 401), ("stranger", 401), ("commenter", 403), ("author", 201), ("admin", 201)] {
            assert_eq!(app.post(who, "/stories", &story("x", true)).await.status, status, "{who}");
        }
        assert_eq!(app.get("/stories").await.json()["total"], 2);
        let mut open = App::closed();
        open.config.authorship = field_notes::domain::Authorship::Open;
        open.open(&db);
        assert_eq!(open.post("commenter", "/stories", &story("x", true)).await.status, 201);
    }

    async fn regression_11_equal_titles_at_once_get_different_slugs(db: Database) {
        let app = App::on(&db).await;
        app.create("author", "/stories", &story("First", true)).await;
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

    async fn regression_12_the_title_of_a_deleted_story_can_be_used_again(db: Database) {
        let app = App::on(&db).await;
        for _ in 0..3 {
            let created = app.create("author", "/stories", &story("Again", true)).await;
            assert_eq!(created["slug"], "again");
            assert_eq!(app.delete("author", &path(&created)).await.status, 204);
        }
        // As the original deletes.
        insert_story(&db, "theirs", doc! { "deleted": true }).await;
        insert_story(&db, "seeded", doc! { "is_deleted": true }).await;
        assert_eq!(app.create("author", "/stories", &story("Theirs", true)).await["slug"], "theirs");
        let other = app.create("author", "/stories", &story("Other", true)).await;
        assert_eq!(app.put("author", &path(&other), &story("Seeded", true)).await.json()["slug"], "seeded");
        // What can be restored knows what it was called.
        let aside = Filter::and([Filter::eq("slug_before", "again"), Filter::starts_with("slug", "~")]);
        assert_eq!(db.collection("stories").count(&aside).await.unwrap(), 2);
        assert_eq!(app.get("/stories").await.json()["total"], 2);
    }

    async fn regression_13_every_title_has_an_address_and_old_addresses_lead_on(db: Database) {
        let app = App::on(&db).await;
        let created = app.create("author", "/stories", &story("!!!", true)).await;
        assert_eq!(created["slug"], created["id"]);
        assert_eq!(app.get(&slug_path(&created)).await.status, 200);
        assert_eq!(app.create("author", "/stories", &story("Café 北京", true)).await["slug"], "cafe-bei-jing");

        let led = async |slug: &str| {
            let answer = app.get(&format!("/stories/slug/{slug}")).await;
            (answer.status.as_u16(), answer.header("location").to_owned())
        };
        let created = app.create("author", "/stories", &story("A", true)).await;
        for title in ["B", "C", "A", "D"] {
            assert_eq!(app.put("author", &path(&created), &story(title, true)).await.status, 200);
        }
        for old in ["a", "b", "c"] {
            assert_eq!(led(old).await, (301, "/stories/slug/d".to_owned()), "{old}");
        }
        assert_eq!(app.get("/stories/slug/a").await.header("cache-control"), "no-store");
        // A live story wins; when it goes, the old address leads on again.
        let other = app.create("author", "/stories", &story("B", true)).await;
        assert_eq!((other["slug"].as_str(), led("b").await.0), (Some("b"), 200));
        assert_eq!(app.delete("author", &path(&other)).await.status, 204);
        assert_eq!(led("b").await, (301, "/stories/slug/d".to_owned()));
        // The last story that had it keeps it.
        let third = app.create("author", "/stories", &story("C", true)).await;
        assert_eq!(app.put("author", &path(&third), &story("E", true)).await.status, 200);
        assert_eq!(led("c").await, (301, "/stories/slug/e".to_owned()));
        // Where it leads is shown to those who may see it.
        assert_eq!(app.put("author", &path(&created), &story("D", false)).await.status, 200);
        assert_eq!(led("a").await, (404, String::new()));
        assert_eq!(app.get_as("author", "/stories/slug/a").await.status, 301);
        assert_eq!(app.delete("author", &path(&created)).await.status, 204);
        assert_eq!(app.get_as("author", "/stories/slug/a").await.status, 404);
        assert_eq!(led("d").await.0, 404);
    }

    async fn regression_14_deletion_has_two_marks(db: Database) {
        let app = App::on(&db).await;
        for (slug, mark) in [("one", "deleted"), ("two", "is_deleted")] {
            let id = insert_story(&db, slug, doc! { mark: true }).await;
            assert_eq!(app.get_as("admin", &format!("/stories/{id}")).await.status, 404);
            assert_eq!(app.get(&format!("/stories/slug/{slug}")).await.status, 404);
            assert_eq!(app.delete("admin", &format!("/stories/{id}")).await.status, 404);
        }
        assert_eq!(app.get("/stories").await.json()["total"], 0);
        let created = app.create("author", "/stories", &story("x", true)).await;
        app.clock.advance(TimeDelta::seconds(1));
        assert_eq!(app.delete("author", &path(&created)).await.status, 204);
        let document = stored(&db, "stories", &created["id"]).await;
        assert!(document.get_bool("deleted").unwrap() && document.get_bool("is_deleted").unwrap());
        assert_eq!(document.get("updatedDate"), document.get("createdDate"));
    }

    async fn regression_15_references_are_read_in_both_types(db: Database) {
        let app = App::on(&db).await;
        let (section, owner) = (ObjectId::new(), ObjectId::new());
        let id = insert_story(&db, "typed", doc! { "section_id": section, "user_id": owner }).await;
        insert_story(&db, "text", doc! { "section_id": section.to_hex() }).await;
        let body = app.get_as("admin", &format!("/stories/{id}")).await.json();
        assert_eq!((&body["section_id"], &body["user_id"]), (&json!(section.to_hex()), &json!(owner.to_hex())));
        let list = app.get(&format!("/stories?section_id={}", section.to_hex())).await;
        assert_eq!(list.json()["total"], 2);
        assert_eq!(app.get(&format!("/stories?section_id={NO_ID}")).await.json()["total"], 0);
        assert_eq!(app.get("/stories?section_id=zzz").await.status, 400);
    }

    async fn regression_16_stories_have_a_section(db: Database) {
        let app = App::on(&db).await;
        let id = |slug: &'static str| { let app = &app; async move { app.get(&format!("/sections/slug/{slug}")).await.json()["id"].clone() } };
        let first = insert(&db, section("first", doc! { "sort_order": -1 })).await;
        let with = |section: &Value| json!({ "title": "x", "content": "x", "is_published": true, "section_id": section });
        assert_eq!(app.create("author", "/stories", &with(&json!(null))).await["section_id"], json!(first));
        let created = app.create("author", "/stories", &with(&id("blog").await)).await;
        assert_eq!(created["section_id"], id("blog").await);
        for wrong in [id("projects").await, json!(NO_ID), json!("zzz")] {
            let expected = [(json!(["body", "section_id"]), "value_error".to_owned())];
            assert_eq!(app.post("author", "/stories", &with(&wrong)).await.errors(), expected);
            assert_eq!(app.put("author", &path(&created), &with(&wrong)).await.errors(), expected);
        }
        assert_eq!(app.put("author", &path(&created), &story("x", true)).await.json()["section_id"], id("blog").await);
        assert_eq!(app.put("author", &path(&created), &with(&json!(first))).await.json()["section_id"], json!(first));
        // The section is gone; its stories can still be updated by a client that sends all fields back.
        let gone = Update::new().set("deleted", true);
        db.collection("sections").update_one(&Filter::eq("slug", "first"), &gone).await.unwrap();
        assert_eq!(app.put("author", &path(&created), &with(&json!(first))).await.status, 200);
        db.collection("sections").delete_many(&Filter::All).await.unwrap();
        assert_eq!(app.create("author", "/stories", &story("x", true)).await["section_id"], Value::Null);
    }

    async fn regression_19_the_date_is_that_of_the_first_publication(db: Database) {
        let app = App::on(&db).await;
        let created = app.create("author", "/stories", &story("x", false)).await;
        assert_eq!(created["date"], Value::Null);
        app.clock.advance(TimeDelta::hours(1));
        let published = app.put("author", &path(&created), &story("x", true)).await.json();
        assert_eq!((&published["date"], &published["updatedDate"]), (&json!("2026-01-02T04:04:05.678000Z"), &json!("2026-01-02T04:04:05.678000Z")));
        assert_eq!(published["createdDate"], created["createdDate"]);
        for is_published in [false, true] {
            app.clock.advance(TimeDelta::hours(1));
            let changed = app.put("author", &path(&created), &story("x", is_published)).await.json();
            assert_eq!(changed["date"], published["date"]);
            assert_ne!(changed["updatedDate"], published["updatedDate"]);
        }
        assert_eq!(app.get("/stories").await.json()["items"][0]["date"], published["date"]);
    }

    async fn regression_20_a_bad_document_breaks_no_list(db: Database) {
        let app = App::on(&db).await;
        app.create("author", "/stories", &story("Good", true)).await;
        let bad = insert_story(&db, "bad", doc! { "createdDate": "yesterday" }).await;
        insert_story(&db, "other", doc! { "title": 5 }).await;
        let list = app.get("/stories").await;
        assert_eq!((list.status.as_u16(), list.slugs()), (200, vec!["good".to_owned()]));
        let alone = app.get_as("admin", &format!("/stories/{bad}")).await;
        assert_eq!((alone.status.as_u16(), &alone.json()["detail"]), (500, &json!("Internal Server Error")));
    }

    async fn regression_21_equal_dates_have_an_order(db: Database) {
        let app = App::on(&db).await;
        for n in 0..7 {
            app.create("author", "/stories", &story(&format!("s{n}"), true)).await;
        }
        let all = app.get("/stories").await.slugs();
        let mut windows = Vec::new();
        for offset in 0..7 {
            windows.extend(app.get(&format!("/stories?limit=1&offset={offset}")).await.slugs());
        }
        assert_eq!(windows, all);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 7);
    }
}
