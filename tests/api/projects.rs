use axum::http::Method;
use bson::{Document, doc, oid::ObjectId};
use chrono::TimeDelta;
use docstore::Database;
use serde_json::{Value, json};

use crate::support::{App, NOW_MS};
use crate::writing::{ANONYMOUS, stored};

const NO_ID: &str = "65a0b1c2d3e4f50617283940";

pub(crate) fn project(title: &str) -> Value {
    json!({ "title": title, "summary": "short", "content": "<p>long</p>" })
}

pub(crate) fn unpublished(title: &str) -> Value {
    json!({ "title": title, "summary": "short", "content": "c", "is_published": false })
}

pub(crate) fn path(project: &Value) -> String {
    format!("/projects/{}", project["id"].as_str().expect("an id"))
}

/// A project as a program of another age may have left it.
pub(crate) async fn insert_project(db: &Database, slug: &str, more: Document) -> String {
    let at = bson::DateTime::from_millis(NOW_MS);
    let mut document = doc! {
        "title": slug, "summary": "s", "content": "c", "is_published": true, "slug": slug, "createdDate": at,
        "updatedDate": at, "user_id": NO_ID,
    };
    document.extend(more);
    let id = db.collection("projects").insert_one(document).await.expect("a project is inserted");
    id.as_object_id().expect("an id").to_hex()
}

testkit::stores! {
    async fn a_project_has_the_fields_of_the_contract(db: Database) {
        let app = App::on(&db).await;
        let created = app.post("author", "/projects", &project("My Project")).await;
        let body = created.json();
        let section = app.get("/sections/slug/projects").await.json()["id"].clone();
        let author = stored(&db, "projects", &body["id"]).await.get_str("user_id").unwrap().to_owned();
        let now = "2026-01-02T03:04:05.678000Z";
        let expected = json!({
            "title": "My Project", "summary": "short", "content": "<p>long</p>", "technologies": [], "github_url": null,
            "live_url": null, "image_url": null, "is_published": true, "is_featured": false, "sort_order": 0,
            "id": body["id"], "slug": "my-project", "createdDate": now, "updatedDate": now, "user_id": author,
            "section_id": section,
        });
        assert_eq!((created.status.as_u16(), &body), (201, &expected));
        let by_id = app.get_as("commenter", &path(&body)).await;
        let by_slug = app.get("/projects/slug/my-project").await;
        assert_eq!((by_id.json(), by_slug.json()), (expected.clone(), expected));
        assert_eq!((by_id.header("etag"), by_slug.header("etag")), (created.header("etag"), created.header("etag")));
        let card = json!({
            "id": body["id"], "title": "My Project", "slug": "my-project", "summary": "short", "technologies": [],
            "image_url": null, "github_url": null, "live_url": null, "is_published": true, "is_featured": false,
            "updatedDate": now, "user_id": author, "section_id": section,
        });
        let list = app.get("/projects").await;
        assert_eq!(list.json(), json!({ "items": [card], "total": 1, "limit": 20, "offset": 0 }));
        let held = app.send(Method::GET, "/projects", &[("if-none-match", list.header("etag"))]).await;
        assert_eq!(held.status, 304);
    }

    async fn lists_are_sorted_and_filtered(db: Database) {
        let app = App::on(&db).await;
        for (title, order, featured) in [("b", 1, true), ("c", 1, false), ("a", -5, false)] {
            let mut body = project(title);
            body["sort_order"] = json!(order);
            body["is_featured"] = json!(featured);
            app.create("author", "/projects", &body).await;
            app.clock.advance(TimeDelta::seconds(1));
        }
        assert_eq!(app.get("/projects").await.slugs(), ["a", "c", "b"]);
        assert_eq!(app.get("/projects?featured_only=true").await.slugs(), ["b"]);
        let other = ObjectId::new();
        insert_project(&db, "elsewhere", doc! { "section_id": other.to_hex() }).await;
        assert_eq!(app.get(&format!("/projects?section_id={}", other.to_hex())).await.slugs(), ["elsewhere"]);
        db.collection("projects").delete_many(&docstore::Filter::eq("slug", "elsewhere")).await.unwrap();
        let second = app.get("/projects?limit=2&offset=2").await;
        assert_eq!(second.slugs(), ["b"]);
        let body = second.json();
        assert_eq!((&body["total"], &body["limit"], &body["offset"]), (&json!(3), &json!(2), &json!(2)));
        assert!(second.header("link").contains("rel=\"first\""));
        for (query, kind) in [
            ("limit=0", "greater_than_equal"),
            ("limit=101", "less_than_equal"),
            ("offset=-1", "greater_than_equal"),
            ("featured_only=x", "bool_parsing"),
        ] {
            let name = query.split('=').next().unwrap();
            let errors = app.get(&format!("/projects?{query}")).await.errors();
            assert_eq!(errors, [(json!(["query", name]), kind.to_owned())], "{query}");
        }
    }

    async fn checks_come_in_the_order_of_the_contract(db: Database) {
        let app = App::on(&db).await;
        assert_eq!(app.put(ANONYMOUS, "/projects/zzz", &json!({ "title": "" })).await.status, 401);
        assert_eq!(app.put("commenter", "/projects/zzz", &json!({ "title": "" })).await.status, 422);
        assert_eq!(app.put(ANONYMOUS, "/projects/zzz", &json!({})).await.status, 401);
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            for (id, status) in [("zzz", 400), (NO_ID, 404)] {
                let answer = app.write("author", method.clone(), &format!("/projects/{id}"), &[], "{}").await;
                assert_eq!(answer.status, status, "{method} {id}");
            }
        }
        assert_eq!(app.get("/projects?section_id=zzz&include_unpublished=true").await.status, 401);
        assert_eq!(app.get("/projects?section_id=zzz").await.status, 400);
        assert_eq!(app.get("/projects/slug/none").await.status, 404);
    }

    async fn a_deleted_project_is_gone(db: Database) {
        let app = App::on(&db).await;
        let created = app.create("author", "/projects", &project("x")).await;
        assert_eq!(app.delete(ANONYMOUS, &path(&created)).await.status, 401);
        assert_eq!(app.put(ANONYMOUS, &path(&created), &json!({})).await.status, 401);
        assert_eq!(app.get("/projects/slug/x").await.json(), created);
        let deleted = app.delete("author", &path(&created)).await;
        assert_eq!((deleted.status.as_u16(), deleted.bytes.len()), (204, 0));
        assert_eq!(app.delete("author", &path(&created)).await.status, 404);
        assert_eq!(app.get_as("admin", &path(&created)).await.status, 404);
        assert_eq!(app.get("/projects/slug/x").await.status, 404);
        assert_eq!(app.get("/projects").await.json()["total"], 0);
    }

    async fn fields_are_judged_together_and_the_store_is_unchanged(db: Database) {
        let app = App::on(&db).await;
        let created = app.create("author", "/projects", &project("Kept")).await;
        let before = testkit::dump!(db);
        let all = json!({
            "title": "", "summary": "s".repeat(501), "technologies": ["a", 1], "github_url": "ftp://x", "live_url": "javascript:x",
            "image_url": 5, "is_published": null, "is_featured": "maybe", "sort_order": 1.5, "section_id": [],
        });
        let errors = app.post("author", "/projects", &all).await.errors();
        let expected = [
            (json!(["body", "title"]), "string_too_short"),
            (json!(["body", "summary"]), "string_too_long"),
            (json!(["body", "content"]), "missing"),
            (json!(["body", "technologies", 1]), "string_type"),
            (json!(["body", "github_url"]), "value_error"),
            (json!(["body", "live_url"]), "value_error"),
            (json!(["body", "image_url"]), "string_type"),
            (json!(["body", "is_published"]), "bool_parsing"),
            (json!(["body", "is_featured"]), "bool_parsing"),
            (json!(["body", "sort_order"]), "int_from_float"),
            (json!(["body", "section_id"]), "string_type"),
        ];
        assert_eq!(errors, expected.map(|(loc, kind)| (loc, kind.to_owned())));
        for (field, value, kind) in [
            ("title", json!("t".repeat(201)), "string_too_long"),
            ("content", json!("c".repeat(100_001)), "string_too_long"),
            ("summary", json!({ "$gt": "" }), "string_type"),
            ("technologies", json!("rust"), "list_type"),
            ("technologies", json!(vec!["rust"; 51]), "too_long"),
            ("sort_order", json!(u64::MAX), "less_than_equal"),
            ("sort_order", json!("x"), "int_parsing"),
            ("github_url", json!("//evil.example"), "value_error"),
            ("section_id", json!(NO_ID), "value_error"),
        ] {
            let errors = app.put("author", &path(&created), &json!({ field: value })).await.errors();
            assert_eq!(errors, [(json!(["body", field]), kind.to_owned())]);
        }
        assert_eq!(testkit::dump!(db), before);
    }

    async fn a_change_leaves_what_it_does_not_name(db: Database) {
        let app = App::on(&db).await;
        let mut body = project("Full");
        body["technologies"] = json!(["Rust", "SQLite"]);
        body["github_url"] = json!("https://example.com/a");
        body["sort_order"] = json!("-3");
        let created = app.create("author", "/projects", &body).await;
        assert_eq!(created["sort_order"], -3);
        app.clock.advance(TimeDelta::seconds(1));
        let nulls = json!({ "title": null, "summary": null, "technologies": null, "github_url": null, "sort_order": null });
        for nothing in [json!({}), nulls] {
            let mut expected = created.clone();
            expected["updatedDate"] = json!("2026-01-02T03:04:06.678000Z");
            assert_eq!(app.put("author", &path(&created), &nothing).await.json(), expected);
        }
        let change = json!({ "summary": "new", "technologies": [], "is_featured": true, "sort_order": 7.0 });
        let changed = app.put("author", &path(&created), &change).await.json();
        assert_eq!((&changed["summary"], &changed["technologies"]), (&json!("new"), &json!([])));
        assert_eq!((&changed["is_featured"], &changed["sort_order"]), (&json!(true), &json!(7)));
        assert_eq!((&changed["title"], &changed["github_url"]), (&created["title"], &created["github_url"]));
    }

    async fn a_change_of_another_state_is_412(db: Database) {
        let app = App::on(&db).await;
        let created = app.post("author", "/projects", &project("x")).await;
        let (tag, body) = (created.header("etag").to_owned(), created.json());
        let requests = (0..50).map(|n| {
            let (app, path, tag) = (app.clone(), path(&body), tag.clone());
            async move { app.put_if("author", &path, &tag, &json!({ "sort_order": n + 1 })).await }
        });
        let answers = app.at_once(requests).await;
        let created: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(created.len(), 1);
        let current = created[0].header("etag");
        for stale in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!((stale.status.as_u16(), stale.header("etag")), (412, current));
        }
        let delete = async |tag: &str| app.write("author", Method::DELETE, &path(&body), &[("if-match", tag)], "").await.status;
        assert_eq!(delete(&tag).await, 412);
        assert_eq!(delete(current).await, 204);
    }
}
