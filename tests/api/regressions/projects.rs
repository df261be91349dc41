use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Method;
use bson::{Bson, doc, oid::ObjectId};
use docstore::Database;
use serde_json::{Value, json};

use crate::projects::{insert_project, path, project, unpublished};
use crate::support::App;
use crate::writing::{ANONYMOUS, stored};

testkit::stores! {
    async fn regression_01_unpublished_ones_are_for_their_owner_and_for_administrators(db: Database) {
        let app = App::on(&db).await;
        let created = app.create("author", "/projects", &unpublished("Mine")).await;
        insert_project(&db, "foreign", doc! { "is_published": false }).await;
        for (who, status, total) in
            [(ANONYMOUS, 401, 0), ("stranger", 401, 0), ("commenter", 200, 0), ("author", 200, 1), ("admin", 200, 2)]
        {
            let list = app.write(who, Method::GET, "/projects?include_unpublished=true", &[], Body::empty()).await;
            assert_eq!(list.status, status, "{who}");
            if status == 200 {
                assert_eq!((list.slugs().len(), &list.json()["total"]), (total, &json!(total)), "{who}");
            }
            let plain = app.write(who, Method::GET, "/projects", &[], Body::empty()).await;
            assert_eq!((plain.status.as_u16(), &plain.json()["total"]), (200, &json!(0)), "{who}");
        }
        for (who, by_id, by_slug) in [
            (ANONYMOUS, 401, 404),
            ("stranger", 401, 404),
            ("commenter", 404, 404),
            ("author", 200, 200),
            ("admin", 200, 200),
        ] {
            let answer = app.write(who, Method::GET, &path(&created), &[], Body::empty()).await;
            assert_eq!(answer.status, by_id, "{who}");
            let answer = app.write(who, Method::GET, "/projects/slug/mine", &[], Body::empty()).await;
            assert_eq!(answer.status, by_slug, "{who}");
        }
    }

    async fn regression_02_who_creates_changes_and_deletes(db: Database) {
        let app = App::on(&db).await;
        for (who, status) in [(ANONYMOUS, 401), ("stranger", 401), ("commenter", 403), ("author", 201), ("admin", 201)] {
            assert_eq!(app.post(who, "/projects", &project("x")).await.status, status, "{who}");
        }
        let mine = app.create("author", "/projects", &project("Mine")).await;
        let foreign = format!("/projects/{}", insert_project(&db, "foreign", doc! {}).await);
        let nobodys = format!("/projects/{}", insert_project(&db, "nobodys", doc! { "user_id": Bson::Null }).await);
        for (who, own, other) in
            [(ANONYMOUS, 401, 401), ("stranger", 401, 401), ("commenter", 403, 403), ("author", 200, 403), ("admin", 200, 200)]
        {
            assert_eq!(app.put(who, &path(&mine), &json!({})).await.status, own, "{who}");
            assert_eq!(app.put(who, &foreign, &json!({})).await.status, other, "{who}");
            assert_eq!(app.put(who, &nobodys, &json!({})).await.status, other, "{who}");
        }
        for (who, status) in [(ANONYMOUS, 401), ("commenter", 403), ("author", 204), ("author", 404)] {
            assert_eq!(app.delete(who, &path(&mine)).await.status, status, "{who}");
        }
        assert_eq!(app.delete("author", &foreign).await.status, 403);
        let deleted = app.delete("admin", &nobodys).await;
        assert_eq!((deleted.status.as_u16(), deleted.bytes.len()), (204, 0));
    }

    async fn regression_11_equal_titles_at_once_get_different_slugs(db: Database) {
        let app = App::on(&db).await;
        let requests = (0..50).map(|_| {
            let app = app.clone();
            async move { app.post("author", "/projects", &project("Same")).await }
        });
        let answers = app.at_once(requests).await;
        assert!(answers.iter().all(|answer| answer.status == 201));
        let slugs = answers.iter().map(|answer| answer.json()["slug"].as_str().unwrap().to_owned());
        assert_eq!(slugs.collect::<BTreeSet<_>>().len(), 50);
    }

    async fn regression_12_and_13_slugs_are_free_again_and_lead_on(db: Database) {
        let app = App::on(&db).await;
        insert_project(&db, "gone", doc! { "deleted": true }).await;
        let created = app.create("author", "/projects", &project("Gone")).await;
        assert_eq!(created["slug"], "gone");
        let changed = app.put("author", &path(&created), &json!({ "title": "Über" })).await.json();
        assert_eq!(changed["slug"], "uber");
        let old = app.get("/projects/slug/gone").await;
        assert_eq!((old.status.as_u16(), old.header("location")), (301, "/projects/slug/uber"));
        // Stories have slugs of their own.
        assert_eq!(app.get("/stories/slug/gone").await.status, 404);
    }

    async fn regression_15_and_16_references_and_the_default_section(db: Database) {
        let app = App::on(&db).await;
        let section = ObjectId::new();
        insert_project(&db, "typed", doc! { "section_id": section }).await;
        let list = app.get(&format!("/projects?section_id={}", section.to_hex())).await.json();
        assert_eq!(list["items"][0]["section_id"], json!(section.to_hex()));
        let blog = app.get("/sections/slug/blog").await.json()["id"].clone();
        let mut body = project("x");
        body["section_id"] = blog;
        let expected = [(json!(["body", "section_id"]), "value_error".to_owned())];
        assert_eq!(app.post("author", "/projects", &body).await.errors(), expected);
        let projects = app.get("/sections/slug/projects").await.json()["id"].clone();
        let created = app.create("author", "/projects", &project("x")).await;
        assert_eq!(created["section_id"], projects);
        let of_section = app.get(&format!("/projects?section_id={}", projects.as_str().unwrap())).await;
        assert_eq!(of_section.slugs(), ["x"]);
    }

    async fn regression_19_an_address_is_cleared_by_an_empty_text(db: Database) {
        let app = App::on(&db).await;
        let mut body = project("x");
        for (field, address) in [("github_url", "https://a.example"), ("live_url", "http://b.example"), ("image_url", "")] {
            body[field] = json!(address);
        }
        let created = app.create("author", "/projects", &body).await;
        assert_eq!((&created["live_url"], &created["image_url"]), (&json!("http://b.example"), &Value::Null));
        let changed = app.put("author", &path(&created), &json!({ "github_url": "", "live_url": null })).await.json();
        assert_eq!((&changed["github_url"], &changed["live_url"]), (&Value::Null, &json!("http://b.example")));
        let document = stored(&db, "projects", &created["id"]).await;
        assert_eq!(document.get("github_url"), Some(&Bson::Null));
    }

    async fn regression_20_a_bad_document_breaks_no_list(db: Database) {
        let app = App::on(&db).await;
        insert_project(&db, "without-addresses", doc! {}).await;
        let bad = insert_project(&db, "bad", doc! { "live_url": "javascript:alert(1)" }).await;
        insert_project(&db, "other", doc! { "technologies": "rust" }).await;
        let list = app.get("/projects").await;
        assert_eq!((list.status.as_u16(), list.slugs()), (200, vec!["without-addresses".to_owned()]));
        assert_eq!(app.get_as("admin", &format!("/projects/{bad}")).await.status, 500);
    }
}
