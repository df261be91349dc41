use axum::body::Body;
use axum::http::Method;
use bson::doc;
use docstore::{Database, Filter};
use serde_json::{Value, json};

use crate::support::{App, NOW_MS};
use crate::writing::{ANONYMOUS, stored};

const NO_ID: &str = "65a0b1c2d3e4f50617283940";

pub(crate) fn navlink(label: &str, sort_order: i64) -> Value {
    json!({ "label": label, "url": "https://example.com/", "sort_order": sort_order })
}

pub(crate) fn path(navlink: &Value) -> String {
    format!("/navlinks/{}", navlink["id"].as_str().expect("an id"))
}

pub(crate) fn labels(list: &Value) -> Vec<&str> {
    list["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| item["label"].as_str().expect("a label"))
        .collect()
}

testkit::stores! {
    async fn a_link_has_the_fields_of_the_contract(db: Database) {
        let app = App::on(&db).await;
        let created = app.post("author", "/navlinks", &json!({ "label": "GitHub", "url": "https://github.com" })).await;
        assert_eq!(created.status, 201);
        let body = created.json();
        let now = "2026-01-02T03:04:05.678000Z";
        let expected = json!({
            "label": "GitHub", "url": "https://github.com", "sort_order": 0, "is_published": true, "id": body["id"],
            "createdDate": now, "updatedDate": now,
        });
        assert_eq!(body, expected);
        let got = app.get(&path(&body)).await;
        assert_eq!((got.json(), got.header("etag")), (body.clone(), created.header("etag")));
        let list = app.get("/navlinks").await.json();
        assert_eq!(list, json!({ "items": [body], "total": 1, "limit": 20, "offset": 0 }));
    }

    async fn lists_are_sorted_and_windowed(db: Database) {
        let app = App::on(&db).await;
        assert_eq!(app.get("/navlinks").await.json(), json!({ "items": [], "total": 0, "limit": 20, "offset": 0 }));
        for (label, sort_order) in [("c", 3), ("a", 1), ("b", 2)] {
            app.create("author", "/navlinks", &navlink(label, sort_order)).await;
        }
        let list = app.get("/navlinks?limit=2&offset=1").await;
        assert_eq!(labels(&list.json()), ["b", "c"]);
        let body = list.json();
        assert_eq!((&body["total"], &body["limit"], &body["offset"]), (&json!(3), &json!(2), &json!(1)));
        assert!(list.header("link").contains("rel=\"prev\""));
        for bad in ["limit=0", "limit=101", "offset=-1", "include_unpublished=maybe"] {
            assert_eq!(app.get(&format!("/navlinks?{bad}")).await.status, 422, "{bad}");
        }
    }

    async fn links_of_equal_order_are_the_newest_first(db: Database) {
        let app = App::on(&db).await;
        for (label, ms) in [("old", 1), ("new", 3), ("middle", 2)] {
            let at = bson::DateTime::from_millis(NOW_MS + ms);
            let link = doc! { "label": label, "url": "/", "sort_order": 0, "is_published": true, "createdDate": at, "updatedDate": at };
            db.collection("navlinks").insert_one(link).await.unwrap();
        }
        assert_eq!(labels(&app.get("/navlinks").await.json()), ["new", "middle", "old"]);
    }

    async fn only_administrators_change_links(db: Database) {
        let app = App::on(&db).await;
        let link = path(&app.create("author", "/navlinks", &navlink("x", 5)).await);
        for who in ["commenter", "author"] {
            // Before anything is said of the id.
            for path in [&*link, "/navlinks/zzz", "/navlinks/65a0b1c2d3e4f50617283940"] {
                assert_eq!(app.put(who, path, &json!({})).await.status, 403, "{who} {path}");
                assert_eq!(app.delete(who, path).await.status, 403, "{who} {path}");
            }
            // This is the rate limit of deletions.
            app.clock.advance(chrono::TimeDelta::minutes(1));
        }
        assert_eq!(app.put(ANONYMOUS, &link, &json!({})).await.status, 401);
        assert_eq!(app.delete(ANONYMOUS, &link).await.status, 401);
        assert_eq!(app.put("admin", "/navlinks/zzz", &json!({})).await.status, 400);
        assert_eq!(app.put("admin", &format!("/navlinks/{NO_ID}"), &json!({})).await.status, 404);
        let changed = app.put("admin", &link, &json!({ "label": "y", "is_published": false, "id": NO_ID })).await;
        assert_eq!(changed.status, 200);
        let body = changed.json();
        assert_eq!((&body["label"], &body["sort_order"], &body["is_published"]), (&json!("y"), &json!(5), &json!(false)));
        assert_eq!(format!("/navlinks/{}", body["id"].as_str().unwrap()), link);
    }

    async fn a_deleted_link_is_gone_for_good(db: Database) {
        let app = App::on(&db).await;
        let body = app.create("admin", "/navlinks", &navlink("x", 0)).await;
        assert_eq!(stored(&db, "navlinks", &body["id"]).await.get_str("label").unwrap(), "x");
        let gone = app.delete("admin", &path(&body)).await;
        assert_eq!((gone.status.as_u16(), gone.bytes.len()), (204, 0));
        assert_eq!(db.collection("navlinks").count(&Filter::All).await.unwrap(), 0);
        assert_eq!(app.delete("admin", &path(&body)).await.status, 404);
        assert_eq!(app.delete("admin", "/navlinks/zzz").await.status, 400);
        assert_eq!(app.get(&path(&body)).await.status, 404);
        assert_eq!(app.get("/navlinks/zzz").await.status, 400);
    }

    async fn bad_bodies_are_422_before_anything_else(db: Database) {
        let app = App::on(&db).await;
        let error = |field: &str, kind: &str| (json!(["body", field]), kind.to_owned());
        let bad = json!({ "label": "a".repeat(101), "url": "", "sort_order": -1, "is_published": 2 });
        let expected = [
            error("label", "string_too_long"),
            error("url", "string_too_short"),
            error("sort_order", "greater_than_equal"),
            error("is_published", "bool_parsing"),
        ];
        assert_eq!(app.post("author", "/navlinks", &bad).await.errors(), expected);
        assert_eq!(app.put("admin", "/navlinks/zzz", &bad).await.errors(), expected);
        let missing = [error("label", "missing"), error("url", "missing")];
        assert_eq!(app.post("author", "/navlinks", &json!({})).await.errors(), missing);
        // No field of a link can be null.
        let nulls = json!({ "label": null, "url": null, "sort_order": null, "is_published": null });
        let expected = [
            error("label", "string_type"),
            error("url", "string_type"),
            error("sort_order", "int_parsing"),
            error("is_published", "bool_parsing"),
        ];
        let link = app.create("author", "/navlinks", &navlink("x", 0)).await;
        assert_eq!(app.put("admin", &path(&link), &nulls).await.errors(), expected);
        assert_eq!(app.get(&path(&link)).await.json(), link);
    }

    async fn changes_may_name_the_state_that_they_are_for(db: Database) {
        let app = App::on(&db).await;
        let created = app.post("admin", "/navlinks", &navlink("x", 0)).await;
        let link = path(&created.json());
        assert_eq!(app.put_if("admin", &link, created.header("etag"), &navlink("y", 0)).await.status, 200);
        assert_eq!(app.put_if("admin", &link, created.header("etag"), &navlink("z", 0)).await.status, 412);
        let headers = [("if-match", created.header("etag"))];
        assert_eq!(app.write("admin", Method::DELETE, &link, &headers, Body::empty()).await.status, 412);
    }
}
