use axum::body::Body;
use axum::http::Method;
use bson::doc;
use docstore::{Database, Filter};
use serde_json::{Value, json};

use crate::support::{App, NOW_MS, insert, section};
use crate::writing::{ANONYMOUS, stored};

const NO_ID: &str = "65a0b1c2d3e4f50617283940";

pub(crate) fn page(title: &str) -> Value {
    json!({ "title": title, "content": "<p>text</p>" })
}

pub(crate) fn draft(title: &str) -> Value {
    json!({ "title": title, "content": "<p>text</p>", "is_published": false })
}

testkit::stores! {
    async fn writing_a_page_reveals_no_unpublished_section_and_no_unpublished_page(db: Database) {
        let app = App::on(&db).await;
        let section = |title: &str, published: bool| {
            json!({ "title": title, "display_type": "feed", "content_type": "page", "is_published": published })
        };
        let page = json!({ "title": "t", "content": "c", "is_published": false });
        app.create("admin", "/sections", &section("Secret", false)).await;
        for title in ["Open", "Drafted"] {
            app.create("admin", "/sections", &section(title, true)).await;
        }
        assert_eq!(app.put("admin", "/pages/drafted", &page).await.status, 200);
        for slug in ["secret", "unknown", "open", "drafted"] {
            assert_eq!(app.put("commenter", &format!("/pages/{slug}"), &page).await.status, 403, "{slug}");
        }
        // An author cannot publish the page of a section that is not there for authors.
        for slug in ["secret", "unknown"] {
            let answer = app.put("author", &format!("/pages/{slug}"), &page).await;
            assert_eq!((answer.status.as_u16(), &answer.json()["detail"]), (404, &json!("Page not found")), "{slug}");
        }
        assert_eq!(app.put("admin", "/pages/secret", &page).await.status, 200);
    }

    async fn a_page_is_made_and_changed_by_put(db: Database) {
        let app = App::on(&db).await;
        assert_eq!(app.get("/pages/about").await.status, 404);
        let created = app.put("author", "/pages/about", &page("About me")).await;
        assert_eq!(created.status, 200);
        let body = created.json();
        let section = app.get("/sections/slug/about").await.json();
        let author = stored(&db, "pages", &body["id"]).await.get_str("user_id").unwrap().to_owned();
        let now = "2026-01-02T03:04:05.678000Z";
        let expected = json!({
            "title": "About me", "content": "<p>text</p>", "page_type": "about", "is_published": true, "id": body["id"],
            "createdDate": now, "updatedDate": now, "user_id": author, "section_id": section["id"],
        });
        assert_eq!(body, expected);
        let got = app.get("/pages/about").await;
        assert_eq!((got.json(), got.header("etag")), (body.clone(), created.header("etag")));
        let title = app.put("author", "/pages/about", &json!({ "title": "Me", "content": null, "page_type": "x" })).await.json();
        assert_eq!((&title["title"], &title["content"], &title["id"]), (&json!("Me"), &json!("<p>text</p>"), &body["id"]));
        assert_eq!(title["is_published"], true);
        assert_eq!(app.put("admin", "/pages/about", &json!({})).await.json()["title"], "Me");
        assert_eq!(app.get("/pages/contact").await.status, 404);
    }

    async fn about_and_contact_are_two_pages(db: Database) {
        let app = App::on(&db).await;
        for (page_type, title) in [("about", "About me"), ("contact", "Write to me")] {
            assert_eq!(app.put("author", &format!("/pages/{page_type}"), &page(title)).await.status, 200);
        }
        for (page_type, title) in [("about", "About me"), ("contact", "Write to me")] {
            let got = app.get(&format!("/pages/{page_type}")).await;
            assert_eq!(got.status, 200, "{page_type}");
            let body = got.json();
            assert_eq!((&body["page_type"], &body["title"]), (&json!(page_type), &json!(title)));
        }
    }

    async fn a_new_page_needs_title_and_content(db: Database) {
        let app = App::on(&db).await;
        for body in [json!({}), json!({ "title": "a" }), json!({ "content": "a" })] {
            let answer = app.put("author", "/pages/contact", &body).await;
            assert_eq!(answer.status, 400, "{body}");
            assert!(answer.json()["detail"].as_str().unwrap().contains("title and content"));
        }
        assert_eq!(app.get("/pages/contact").await.status, 404);
    }

    async fn bad_bodies_are_422_before_anything_else(db: Database) {
        let app = App::on(&db).await;
        let body = json!({ "title": "", "content": 5, "is_published": "maybe" });
        let expected = [
            (json!(["body", "title"]), "string_too_short".to_owned()),
            (json!(["body", "content"]), "string_type".to_owned()),
            (json!(["body", "is_published"]), "bool_parsing".to_owned()),
        ];
        assert_eq!(app.put("commenter", "/pages/nonsense", &body).await.errors(), expected);
        let long = json!({ "title": "a".repeat(201), "content": "a".repeat(100_001) });
        let kinds: Vec<_> = app.put("author", "/pages/about", &long).await.errors().into_iter().map(|e| e.1).collect();
        assert_eq!(kinds, ["string_too_long", "string_too_long"]);
        for section in ["zzz", NO_ID] {
            let body = json!({ "title": "a", "content": "b", "section_id": section });
            let loc = json!(["body", "section_id"]);
            assert_eq!(app.put("author", "/pages/about", &body).await.errors(), [(loc, "value_error".to_owned())]);
        }
    }

    async fn a_page_type_names_a_section_of_pages(db: Database) {
        let app = App::on(&db).await;
        let terms = insert(&db, section("terms-of-use", doc! { "content_type": "page" })).await;
        let created = app.put("author", "/pages/terms-of-use", &page("Terms")).await;
        assert_eq!((created.status.as_u16(), &created.json()["section_id"]), (200, &json!(terms)));
        insert(&db, section("gone", doc! { "content_type": "page", "deleted": true })).await;
        let long = "a".repeat(101);
        for unknown in ["blog", "gone", "nothing", "About", "a--b", &long, "%00", "%7E65a0b1c2d3e4f50617283940"] {
            let path = format!("/pages/{unknown}");
            assert_eq!(app.put("admin", &path, &page("x")).await.status, 404, "{unknown}");
            assert_eq!(app.get(&path).await.status, 404, "{unknown}");
        }
        // Of old there are two that need no section.
        db.collection("sections").delete_many(&Filter::All).await.unwrap();
        let about = app.put("author", "/pages/about", &page("About")).await;
        assert_eq!((about.status.as_u16(), &about.json()["section_id"]), (200, &Value::Null));
        assert_eq!(app.get("/pages/terms-of-use").await.status, 200);
    }

    async fn who_may_do_what(db: Database) {
        let app = App::on(&db).await;
        let created = page("About");
        assert_eq!(app.put(ANONYMOUS, "/pages/about", &created).await.status, 401);
        assert_eq!(app.put("commenter", "/pages/about", &created).await.status, 403);
        assert_eq!(app.put("author", "/pages/about", &created).await.status, 200);
        assert_eq!(app.put(ANONYMOUS, "/pages/about", &created).await.status, 401);
        assert_eq!(app.put("commenter", "/pages/about", &created).await.status, 403);
        assert_eq!(app.put("admin", "/pages/about", &created).await.status, 200);
        // What the administrator created is not the author's.
        assert_eq!(app.put("admin", "/pages/contact", &created).await.status, 200);
        assert_eq!(app.put("author", "/pages/contact", &created).await.status, 403);
        assert_eq!(app.delete("author", "/pages/contact").await.status, 403);
        assert_eq!(app.delete(ANONYMOUS, "/pages/about").await.status, 401);
        assert_eq!(app.delete("commenter", "/pages/about").await.status, 403);
        assert_eq!(app.delete("author", "/pages/about").await.status, 204);
        assert_eq!(app.delete("author", "/pages/about").await.status, 404);
    }

    async fn first_puts_at_once_make_one_page(db: Database) {
        let app = App::on(&db).await;
        assert_eq!(app.put("author", "/pages/about", &page("Old")).await.status, 200);
        assert_eq!(app.delete("author", "/pages/about").await.status, 204);
        let put = |n: usize| {
            let app = app.clone();
            async move { app.put("author", "/pages/about", &page(&format!("Turn {n}"))).await }
        };
        let answers = app.at_once((0..20).map(put)).await;
        let ids: std::collections::BTreeSet<_> = answers.iter().map(|answer| answer.json()["id"].to_string()).collect();
        assert!(answers.iter().all(|answer| answer.status == 200));
        assert_eq!(ids.len(), 1);
        assert_eq!(db.collection("pages").count(&Filter::All).await.unwrap(), 2);
    }

    async fn changes_may_name_the_state_that_they_are_for(db: Database) {
        let app = App::on(&db).await;
        for tag in ["\"x\"", "*"] {
            let absent = app.put_if("author", "/pages/about", tag, &page("a")).await;
            assert_eq!((absent.status.as_u16(), absent.header("etag")), (412, ""));
        }
        assert_eq!(app.put_if("commenter", "/pages/about", "*", &page("a")).await.status, 403);
        assert_eq!(app.put_if("author", "/pages/nothing", "*", &page("a")).await.status, 404);
        let created = app.put("author", "/pages/about", &page("a")).await;
        assert_eq!(created.status, 200);
        let stale = app.put_if("author", "/pages/about", "\"x\"", &page("b")).await;
        assert_eq!((stale.status.as_u16(), stale.header("etag")), (412, created.header("etag")));
        assert_eq!(app.put_if("author", "/pages/about", created.header("etag"), &page("b")).await.status, 200);
        let headers = [("if-match", created.header("etag"))];
        assert_eq!(app.write("author", Method::DELETE, "/pages/about", &headers, Body::empty()).await.status, 412);
    }

    async fn pages_of_old_databases_are_read(db: Database) {
        let app = App::on(&db).await;
        let at = bson::DateTime::from_millis(NOW_MS);
        let id = bson::oid::ObjectId::parse_str(NO_ID).unwrap();
        let old = doc! { "title": "o", "content": "o", "page_type": "about", "createdDate": at, "updatedDate": at, "section_id": id };
        db.collection("pages").insert_one(old).await.unwrap();
        let body = app.get("/pages/about").await.json();
        assert_eq!((&body["is_published"], &body["section_id"], &body["user_id"]), (&json!(true), &json!(NO_ID), &Value::Null));
        // Without an owner it is for administrators.
        assert_eq!(app.put("author", "/pages/about", &page("x")).await.status, 403);
        assert_eq!(app.put("admin", "/pages/about", &page("x")).await.status, 200);
    }
}
