use std::sync::Arc;

use axum::http::Method;
use bson::{Bson, Document, doc, oid::ObjectId};
use chrono::TimeDelta;
use docstore::{Database, Filter, Find, Update};
use field_notes::domain::TrashType::{Pages, Sections, Stories};
use field_notes::startup;
use serde_json::{Value, json};

use crate::support::{Answer, App, NOW_MS, insert, section};
use crate::writing::{ANONYMOUS, stored};

const NO_ID: &str = "65a0b1c2d3e4f50617283940";

fn story(title: &str) -> Value {
    json!({ "title": title, "content": "<p>c</p>", "is_published": true })
}

fn project(title: &str) -> Value {
    json!({ "title": title, "summary": "s", "content": "<p>c</p>" })
}

fn page(title: &str) -> Value {
    json!({ "title": title, "content": "<p>c</p>" })
}

fn section_body(title: &str, parent: &Value) -> Value {
    json!({ "title": title, "display_type": "feed", "content_type": "story", "parent_id": parent })
}

impl App {
    /// Makes something and deletes it; returns its id.
    async fn trashed(&self, collection: &str, body: &Value) -> Value {
        let id = self.create("admin", &format!("/{collection}"), body).await["id"].clone();
        self.drop_item(collection, &id).await;
        id
    }

    async fn drop_item(&self, collection: &str, id: &Value) {
        let path = format!("/{collection}/{}", id.as_str().expect("an id"));
        assert_eq!(self.delete("admin", &path).await.status, 204, "{path}");
    }

    async fn restore(&self, kind: &str, id: &Value) -> Answer {
        let path = format!("/trash/{kind}/{}/restore", id.as_str().expect("an id"));
        self.write("admin", Method::POST, &path, &[], "").await
    }

    async fn drop_for_good(&self, kind: &str, id: &Value) -> Answer {
        self.delete("admin", &format!("/trash/{kind}/{}", id.as_str().expect("an id"))).await
    }

    async fn trash(&self, query: &str) -> Value {
        let answer = self.get_as("admin", &format!("/trash?{query}")).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
        answer.json()
    }
}

/// A document as the original deleted it: one mark, no date of deletion.
async fn deleted_by_the_original(db: &Database, collection: &str, more: Document) -> Value {
    let at = bson::DateTime::from_millis(NOW_MS - 5_000);
    let mut document = doc! {
        "_id": ObjectId::new(), "title": "Old", "content": "c", "summary": "s", "technologies": [],
        "is_published": true, "createdDate": at, "updatedDate": at, "display_type": "feed", "content_type": "story",
        "deleted": true,
    };
    document.extend(more);
    let id = db.collection(collection).insert_one(document).await.expect("a document is inserted");
    json!(id.as_object_id().expect("an id").to_hex())
}

testkit::stores! {
    async fn the_trash_is_for_administrators(db: Database) {
        let app = App::on(&db).await;
        let id = app.trashed("stories", &story("Gone")).await;
        let restore = format!("/trash/stories/{}/restore", id.as_str().unwrap());
        let before = testkit::dump!(db);
        assert_eq!(app.get("/trash?type=stories").await.status, 401);
        assert_eq!(app.write(ANONYMOUS, Method::POST, &restore, &[], "").await.status, 401);
        // They are rejected before it is revealed whether the item exists.
        assert_eq!(app.write(ANONYMOUS, Method::POST, "/trash/stories/zzz/restore", &[], "").await.status, 401);
        for who in ["author", "commenter"] {
            assert_eq!(app.get_as(who, "/trash?type=stories").await.status, 403, "{who}");
            assert_eq!(app.write(who, Method::POST, &restore, &[], "").await.status, 403, "{who}");
            assert_eq!(app.write(who, Method::POST, "/trash/stories/zzz/restore", &[], "").await.status, 403, "{who}");
            assert_eq!(app.delete(who, restore.trim_end_matches("/restore")).await.status, 403, "{who}");
        }
        let after = testkit::dump!(db);
        // The users are new; the content is as it was.
        assert_eq!(after.get("stories"), before.get("stories"));
        let list = app.get_as("admin", "/trash?type=stories").await;
        assert_eq!((list.status.as_u16(), list.header("cache-control")), (200, "private, no-store"));
    }

    async fn what_is_deleted_is_listed_by_type_the_latest_first(db: Database) {
        let app = App::on(&db).await;
        let old = deleted_by_the_original(&db, "stories", doc! { "slug": "old", "title": "Old" }).await;
        let first = app.trashed("stories", &story("First")).await;
        app.clock.advance(TimeDelta::seconds(1));
        let second = app.trashed("stories", &story("Second")).await;
        app.create("admin", "/stories", &story("Live")).await;
        app.trashed("projects", &project("Elsewhere")).await;
        let now = "2026-01-02T03:04:05.678000Z";
        let later = "2026-01-02T03:04:06.678000Z";
        let expected = json!({
            "items": [
                { "id": second, "type": "stories", "title": "Second", "slug": "second", "deletedDate": later, "updatedDate": later },
                { "id": first, "type": "stories", "title": "First", "slug": "first", "deletedDate": now, "updatedDate": now },
                { "id": old, "type": "stories", "title": "Old", "slug": "old", "deletedDate": null, "updatedDate": "2026-01-02T03:04:00.678000Z" },
            ],
            "total": 3, "limit": 20, "offset": 0,
        });
        assert_eq!(app.trash("type=stories").await, expected);
        let window = app.get_as("admin", "/trash?type=stories&limit=1&offset=1").await;
        assert_eq!(window.json()["items"], json!([expected["items"][1]]));
        assert_eq!(window.json()["total"], 3);
        assert!(window.header("link").contains("</trash?type=stories&limit=1&offset=2>; rel=\"next\""));
        assert_eq!(app.trash("type=sections").await["items"], json!([]));
        assert_eq!(app.trash("type=projects").await["total"], 1);
    }

    async fn the_parameters_are_judged_before_the_caller(db: Database) {
        let app = App::on(&db).await;
        let kind = || json!(["query", "type"]);
        for (query, expected) in [
            ("", vec![(kind(), "missing")]),
            ("type=", vec![(kind(), "literal_error")]),
            ("type=story", vec![(kind(), "literal_error")]),
            ("type=users&limit=101", vec![(kind(), "literal_error"), (json!(["query", "limit"]), "less_than_equal")]),
            ("type=stories&offset=-1", vec![(json!(["query", "offset"]), "greater_than_equal")]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(loc, kind)| (loc, kind.to_owned())).collect();
            assert_eq!(app.get(&format!("/trash?{query}")).await.errors(), expected, "{query}");
        }
        let unknown = app.write(ANONYMOUS, Method::POST, &format!("/trash/users/{NO_ID}/restore"), &[], "").await;
        assert_eq!(unknown.errors(), [(json!(["path", "type"]), "literal_error".to_owned())]);
    }

    async fn a_story_comes_back_as_it_was(db: Database) {
        let app = App::on(&db).await;
        let created = app.create("author", "/stories", &story("Back")).await;
        let path = format!("/stories/{}", created["id"].as_str().unwrap());
        app.drop_item("stories", &created["id"]).await;
        assert_eq!(app.get("/stories/slug/back").await.status, 404);
        let restored = app.restore("stories", &created["id"]).await;
        assert_eq!(restored.status, 200);
        assert_eq!(restored.json(), json!({ "id": created["id"], "type": "stories", "title": "Back", "slug": "back" }));
        assert_eq!(app.get_as("author", &path).await.json(), created);
        assert_eq!(app.get("/stories/slug/back").await.status, 200);
        let document = stored(&db, "stories", &created["id"]).await;
        assert_eq!((document.get("deleted"), document.get("is_deleted")), (Some(&Bson::Boolean(false)), Some(&Bson::Boolean(false))));
        assert!(!document.contains_key("deletedDate") && !document.contains_key("slug_before"));
        assert_eq!(app.trash("type=stories").await["total"], 0);
        // It is not there twice, and it can be deleted again.
        assert_eq!(app.restore("stories", &created["id"]).await.status, 404);
        app.drop_item("stories", &created["id"]).await;
        assert_eq!(app.restore("stories", &created["id"]).await.status, 200);
    }

    async fn what_is_not_in_the_trash_is_404_and_no_id_is_400(db: Database) {
        let app = App::on(&db).await;
        let live = app.create("admin", "/stories", &story("Live")).await["id"].clone();
        let gone = app.trashed("projects", &project("Gone")).await;
        for (kind, id) in [("stories", &live), ("stories", &gone), ("stories", &json!(NO_ID)), ("pages", &live), ("sections", &live)] {
            let answer = app.restore(kind, id).await;
            assert_eq!(answer.status, 404, "{kind}");
            assert!(answer.json()["detail"].as_str().unwrap().contains("not found in the trash"));
            assert_eq!(app.drop_for_good(kind, id).await.json()["detail"], answer.json()["detail"]);
        }
        for kind in ["stories", "projects", "pages", "sections", "media"] {
            let answer = app.restore(kind, &json!("zzz")).await;
            assert_eq!(answer.status, 400, "{kind}");
            assert!(answer.json()["detail"].as_str().unwrap().contains("Invalid"));
            assert_eq!(app.drop_for_good(kind, &json!("zzz")).await.status, 400, "{kind}");
        }
        // The live one is still there, and the other one goes with its former names.
        stored(&db, "stories", &live).await;
        assert_eq!(app.restore("projects", &gone).await.status, 200);
        assert_eq!(app.put("admin", &format!("/projects/{}", gone.as_str().unwrap()), &project("Renamed")).await.status, 200);
        app.drop_item("projects", &gone).await;
        assert_eq!(app.drop_for_good("projects", &gone).await.status, 204);
        assert_eq!(app.drop_for_good("projects", &gone).await.status, 404);
        for collection in ["projects", "slug_history"] {
            assert_eq!(db.collection(collection).count(&Filter::All).await.unwrap(), 0, "{collection}");
        }
    }

    async fn a_taken_slug_gets_the_next_suffix(db: Database) {
        let app = App::on(&db).await;
        for (collection, body) in [("stories", story("Same")), ("projects", project("Same")), ("sections", section_body("Same", &Value::Null))] {
            let first = app.trashed(collection, &body).await;
            // A live one takes the slug; what was set aside is listed by the name that it had.
            let live = app.create("admin", &format!("/{collection}"), &body).await;
            assert_eq!(live["slug"], "same");
            assert_eq!(app.trash(&format!("type={collection}")).await["items"][0]["slug"], "same");
            assert_eq!(app.restore(collection, &first).await.json()["slug"], "same-2", "{collection}");
            // One that had a suffix itself goes on from there.
            let third = app.trashed(collection, &body).await;
            app.create("admin", &format!("/{collection}"), &body).await;
            assert_eq!(app.restore(collection, &third).await.json()["slug"], "same-4", "{collection}");
            // When the slug is free again, it is given back.
            app.drop_item(collection, &live["id"]).await;
            let other = app.create("admin", &format!("/{collection}"), &body).await;
            assert_eq!(other["slug"], "same");
            app.drop_item(collection, &other["id"]).await;
            assert_eq!(app.restore(collection, &live["id"]).await.json()["slug"], "same", "{collection}");
            assert_eq!(app.restore(collection, &other["id"]).await.json()["slug"], "same-5", "{collection}");
        }
    }

    async fn what_the_original_deleted_comes_back(db: Database) {
        let app = App::on(&db).await;
        for collection in ["stories", "projects", "sections"] {
            for (n, marks) in [doc! { "deleted": true }, doc! { "deleted": false, "is_deleted": true }].into_iter().enumerate() {
                let mut more = doc! { "slug": format!("old-{n}"), "title": "Quite old" };
                more.extend(marks);
                let id = deleted_by_the_original(&db, collection, more).await;
                assert_eq!(app.restore(collection, &id).await.json()["slug"], format!("old-{n}"), "{collection}");
                assert_eq!(app.get(&format!("/{collection}/slug/old-{n}")).await.status, 200, "{collection}");
            }
        }
        // Without a slug it gets that of its title; without letters, that of its id.
        let untitled = deleted_by_the_original(&db, "stories", doc! { "title": "Quite old" }).await;
        assert_eq!(app.restore("stories", &untitled).await.json()["slug"], "quite-old");
        let nothing = deleted_by_the_original(&db, "stories", doc! { "title": "!!!", "slug": "" }).await;
        assert_eq!(app.restore("stories", &nothing).await.json()["slug"], nothing);
    }

    async fn what_cannot_be_read_is_listed_and_stays(db: Database) {
        let app = App::on(&db).await;
        let bad = deleted_by_the_original(&db, "stories", doc! { "slug": "bad", "title": 5, "updatedDate": "x" }).await;
        let listed = app.trash("type=stories").await["items"][0].clone();
        assert_eq!(listed, json!({ "id": bad, "type": "stories", "title": "", "slug": "bad", "deletedDate": null, "updatedDate": null }));
        let answer = app.restore("stories", &bad).await;
        assert_eq!(answer.status, 500);
        assert!(!answer.json().to_string().contains("updatedDate"));
        assert_eq!(stored(&db, "stories", &bad).await.get("deleted"), Some(&Bson::Boolean(true)));
    }

    async fn a_page_comes_back_unless_another_has_its_type(db: Database) {
        let app = App::on(&db).await;
        let first = app.put("author", "/pages/about", &page("First")).await.json()["id"].clone();
        assert_eq!(app.delete("author", "/pages/about").await.status, 204);
        let second = app.put("author", "/pages/about", &page("Second")).await.json()["id"].clone();
        let listed = app.trash("type=pages").await["items"][0].clone();
        assert_eq!((&listed["id"], &listed["type"], &listed["slug"]), (&first, &json!("pages"), &json!("about")));
        let before = testkit::dump!(db);
        let clash = app.restore("pages", &first).await;
        assert_eq!(clash.status, 409);
        assert!(clash.json()["detail"].as_str().unwrap().contains("\"about\""), "{}", clash.json());
        assert_eq!(testkit::dump!(db), before);
        // With both of them deleted, either can have the type.
        assert_eq!(app.delete("author", "/pages/about").await.status, 204);
        let restored = app.restore("pages", &first).await;
        assert_eq!(restored.json(), json!({ "id": first, "type": "pages", "title": "First", "slug": "about" }));
        assert_eq!(app.get("/pages/about").await.json()["title"], "First");
        assert_eq!(app.restore("pages", &second).await.status, 409);
        assert_eq!(app.delete("author", "/pages/about").await.status, 204);
        assert_eq!(app.restore("pages", &second).await.status, 200);
        assert_eq!(app.get("/pages/about").await.json()["title"], "Second");
        let old = deleted_by_the_original(&db, "pages", doc! { "page_type": "contact" }).await;
        assert_eq!(app.restore("pages", &old).await.status, 200);
        assert_eq!(app.get("/pages/contact").await.status, 200);
    }

    async fn a_section_comes_back_where_it_lay_or_at_the_root(db: Database) {
        let app = App::on(&db).await;
        let parent = app.create("admin", "/sections", &section_body("Parent", &Value::Null)).await["id"].clone();
        let child = app.trashed("sections", &section_body("Child", &parent)).await;
        assert_eq!(app.restore("sections", &child).await.status, 200);
        assert_eq!(app.get("/sections/slug/child").await.json()["parent_id"], parent);
        // Its parent is gone.
        app.drop_item("sections", &child).await;
        app.drop_item("sections", &parent).await;
        assert_eq!(app.restore("sections", &child).await.status, 200);
        assert_eq!(app.get("/sections/slug/child").await.json()["parent_id"], Value::Null);
        // The original kept children of deleted sections; the former parent is now a child of one of them.
        let top = insert(&db, section("top", doc! {})).await;
        let mid = deleted_by_the_original(&db, "sections", doc! { "slug": "mid", "parent_id": &top }).await;
        let low = insert(&db, section("low", doc! { "parent_id": mid.as_str().unwrap() })).await;
        let moved = Update::new().set("parent_id", low.as_str());
        db.collection("sections").update_one(&Filter::eq("slug", "top"), &moved).await.unwrap();
        assert_eq!(app.restore("sections", &mid).await.status, 200);
        assert_eq!(app.get("/sections/slug/mid").await.json()["parent_id"], Value::Null);
    }

    async fn of_restores_at_once_one_is_made_and_names_stay_unique(db: Database) {
        let app = App::on(&db).await;
        let mut ids = Vec::new();
        for _ in 0..10 {
            ids.push(app.trashed("stories", &story("Same")).await);
        }
        let both = ids.iter().chain(&ids).cloned().map(|id| {
            let app = app.clone();
            async move { app.restore("stories", &id).await }
        });
        let answers = app.at_once(both).await;
        let (done, not_there): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
        assert!(not_there.iter().all(|answer| answer.status == 404));
        let mut slugs: Vec<_> = done.iter().map(|answer| answer.json()["slug"].as_str().unwrap().to_owned()).collect();
        slugs.sort();
        slugs.dedup();
        assert_eq!((slugs.len(), not_there.len()), (10, 10));
        let listed = app.get("/stories?limit=50").await;
        assert_eq!(listed.json()["total"], 10);
    }

    async fn old_addresses_work_again(db: Database) {
        let app = App::on(&db).await;
        let created = app.create("admin", "/stories", &story("Before")).await;
        let path = format!("/stories/{}", created["id"].as_str().unwrap());
        assert_eq!(app.put("admin", &path, &story("After")).await.status, 200);
        app.drop_item("stories", &created["id"]).await;
        assert_eq!(app.get("/stories/slug/before").await.status, 404);
        assert_eq!(app.restore("stories", &created["id"]).await.status, 200);
        let moved = app.get("/stories/slug/before").await;
        assert_eq!((moved.status.as_u16(), moved.header("location")), (301, "/stories/slug/after"));
    }

    async fn purging_spares_the_young_and_the_live(db: Database) {
        let app = App::on(&db).await;
        let trash = startup::services(&app.config, &db, Arc::new(app.clock.clone())).trash;
        let renamed = app.create("admin", "/stories", &story("Before")).await;
        let path = format!("/stories/{}", renamed["id"].as_str().unwrap());
        assert_eq!(app.put("admin", &path, &story("After")).await.status, 200);
        app.drop_item("stories", &renamed["id"]).await;
        let back = app.trashed("stories", &story("Back")).await;
        assert_eq!(app.restore("stories", &back).await.status, 200);
        let live = app.create("admin", "/stories", &story("Live")).await;
        let live_path = format!("/stories/{}", live["id"].as_str().unwrap());
        assert_eq!(app.put("admin", &live_path, &story("Lively")).await.status, 200);
        let old = deleted_by_the_original(&db, "stories", doc! { "slug": "old" }).await;
        // Without any date of theirs the ids tell how old they are: these are of today, long after the clock of this test.
        let nulls = deleted_by_the_original(&db, "stories", doc! { "slug": "nulls", "updatedDate": null }).await;
        let words = doc! { "slug": "words", "deletedDate": "once", "updatedDate": "lately" };
        let words = deleted_by_the_original(&db, "stories", words).await;
        let created = |seconds: i64| ObjectId::from_parts(u32::try_from(NOW_MS / 1000 + seconds).unwrap(), [7; 5], [7; 3]);
        let undated = deleted_by_the_original(&db, "stories", doc! { "_id": created(0), "slug": "undated", "updatedDate": null }).await;
        let later = doc! { "_id": created(1), "slug": "later", "deletedDate": "once", "updatedDate": null };
        let later = deleted_by_the_original(&db, "stories", later).await;
        let named = doc! { "_id": "by-name", "slug": "named", "updatedDate": null, "deleted": true };
        db.collection("stories").insert_one(named).await.unwrap();
        app.clock.advance(TimeDelta::days(30));
        let young = app.trashed("stories", &story("Young")).await;
        let page = deleted_by_the_original(&db, "pages", doc! { "page_type": "contact" }).await;

        let days = TimeDelta::days;
        assert_eq!(trash.count_older(Stories, days(31)).await.unwrap(), 1);
        assert_eq!(trash.count_older(Stories, days(30)).await.unwrap(), 4);
        assert_eq!(trash.purge_older(Stories, days(31)).await.unwrap(), 1);
        assert_eq!(trash.purge_older(Stories, days(30)).await.unwrap(), 3);
        assert_eq!(trash.purge_older(Stories, days(30)).await.unwrap(), 0);
        assert_eq!(trash.purge_older(Sections, days(0)).await.unwrap(), 0);
        for gone in [&renamed["id"], &old, &undated] {
            let id = ObjectId::parse_str(gone.as_str().unwrap()).unwrap();
            assert_eq!(db.collection("stories").count(&Filter::id(id)).await.unwrap(), 0);
        }
        assert_eq!(db.collection("stories").count(&Filter::id("by-name")).await.unwrap(), 0);
        for stays in [&back, &live["id"], &nulls, &words, &later, &young] {
            stored(&db, "stories", stays).await;
        }
        stored(&db, "pages", &page).await;
        // What was remembered of the purged is forgotten, and of nothing else.
        let history = db.collection("slug_history").find(Find::new(Filter::All)).await.unwrap().documents().await.unwrap();
        let slugs: Vec<_> = history.iter().map(|document| document.get_str("slug").unwrap()).collect();
        assert_eq!(slugs, ["live"]);
        assert_eq!(app.get("/stories/slug/live").await.status, 301);
        assert_eq!(trash.purge_older(Pages, days(30)).await.unwrap(), 1);
        assert_eq!(trash.purge_older(Stories, TimeDelta::MAX).await.unwrap(), 0);
    }
}
