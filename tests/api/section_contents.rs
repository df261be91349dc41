use axum::http::Method;
use bson::{Bson, doc};
use chrono::DateTime;
use docstore::{Database, Filter, Find};
use field_notes::domain::{Id, Patch, Section, SectionPatch};
use field_notes::repository::{Repository, SectionContents};
use serde_json::{Value, json};

use crate::counting::Counting;
use crate::sections_write::{NO_ID, field, insert_into_section, inside, new, path};
use crate::stories::{self, story};
use crate::support::{App, insert, section};
use crate::writing::stored;

/// A story in a section.
fn story_in(section: &Value) -> Value {
    let mut body = story("In", true);
    body["section_id"] = section["id"].clone();
    body
}

testkit::stores! {
    async fn new_items_go_to_the_oldest_published_section_of_the_lowest_order(db: Database) {
        let app = App::on(&db).await;
        let at = |ms: i64| bson::DateTime::from_millis(crate::support::NOW_MS + ms);
        let mut hidden = section("hidden", doc! { "sort_order": -9, "is_published": false, "createdDate": at(-50) });
        hidden.insert("user_id", NO_ID);
        insert(&db, hidden).await;
        insert(&db, section("newer", doc! { "sort_order": 0, "createdDate": at(-10) })).await;
        let older = insert(&db, section("older", doc! { "sort_order": 0, "createdDate": at(-20) })).await;
        insert(&db, section("deleted", doc! { "sort_order": -1, "deleted": true })).await;
        assert_eq!(app.create("author", "/stories", &story("x", true)).await["section_id"], json!(older));
        // A hidden section of somebody else cannot be named either; its owner and administrators can.
        let hidden = app.get_as("admin", "/sections/slug/hidden").await.json();
        assert_eq!(app.post("author", "/stories", &story_in(&hidden)).await.status, 422);
        assert_eq!(app.create("admin", "/stories", &story_in(&hidden)).await["section_id"], hidden["id"]);
        // Where no section is published, an item has none.
        let unpublished = docstore::Update::new().set("is_published", false);
        db.collection("sections").update_many(&Filter::All, &unpublished).await.unwrap();
        assert_eq!(app.create("author", "/stories", &story("x", true)).await["section_id"], Value::Null);
    }

    async fn the_content_type_of_a_section_with_content_stays(db: Database) {
        let app = App::on(&db).await;
        let notes = app.create("admin", "/sections", &new("Notes")).await;
        for _ in 0..2 {
            insert_into_section(&db, "stories", notes["id"].as_str().unwrap()).await;
        }
        let refused = app.put("admin", &path(&notes), &json!({ "content_type": "project" })).await;
        assert_eq!(refused.status, 409);
        assert!(refused.json()["detail"].as_str().unwrap().contains("2 stories:"), "{}", refused.json());
        assert_eq!(app.put("admin", &path(&notes), &json!({ "content_type": "story", "sort_order": 3 })).await.status, 200);
        db.collection("stories").delete_many(&Filter::All).await.unwrap();
        assert_eq!(app.put("admin", &path(&notes), &json!({ "content_type": "project" })).await.json()["content_type"], "project");
    }

    async fn a_published_child_of_a_hidden_section_is_public(db: Database) {
        let app = App::on(&db).await;
        let mut hidden = new("Hidden");
        hidden["is_published"] = json!(false);
        let hidden = app.create("author", "/sections", &hidden).await;
        let child = app.create("author", "/sections", &inside("Child", &hidden)).await;
        // Each section is published by itself; of the parent nothing but its id is shown.
        let shown = app.get("/sections/slug/child").await;
        assert_eq!((shown.status.as_u16(), &shown.json()["parent_id"]), (200, &hidden["id"]));
        assert!(app.get("/sections").await.slugs().contains(&"child".to_owned()));
        for hidden in [&*path(&hidden), "/sections/slug/hidden"] {
            assert_eq!(app.get(hidden).await.status, 404);
        }
        assert_eq!(app.get(&path(&child)).await.status, 200);
    }

    async fn only_administrators_move_content_of_others(db: Database) {
        let app = App::on(&db).await;
        let blog = app.get("/sections/slug/blog").await.json();
        let own = app.create("author", "/sections", &new("Own")).await;
        let theirs = app.create("admin", "/stories", &story_in(&own)).await;
        let ways = [format!("{}?force=true", path(&own)), format!("{}?reassign_to={}", path(&own), blog["id"].as_str().unwrap())];
        for way in &ways {
            let refused = app.delete("author", way).await;
            assert_eq!(refused.status, 403);
            assert!(refused.json()["detail"].as_str().unwrap().contains("other users"));
            assert_eq!(field(&db, "stories", &theirs["id"], "section_id").await, Some(own["id"].as_str().unwrap().into()));
        }
        // What belongs to the author alone is theirs to move.
        let second = app.create("author", "/sections", &new("Second")).await;
        let mine = app.create("author", "/stories", &story_in(&second)).await;
        app.clock.advance(chrono::TimeDelta::minutes(1));
        assert_eq!(app.delete("author", &format!("{}?force=true", path(&second))).await.status, 204);
        assert_eq!(field(&db, "stories", &mine["id"], "section_id").await, None);
        assert_eq!(app.delete("admin", &ways[0]).await.status, 204);
        assert_eq!(field(&db, "stories", &theirs["id"], "section_id").await, None);
    }

    async fn sections_move_together_or_not_at_all(db: Database) {
        let app = App::on(&db).await;
        let parent = app.create("admin", "/sections", &new("Parent")).await;
        let sections = [
            app.create("admin", "/sections", &inside("A", &parent)).await,
            app.create("admin", "/sections", &inside("B", &parent)).await,
        ];
        let (in_turn, counts) = Counting::around(&db);
        counts.refuse_transactions();
        let now = DateTime::from_timestamp_millis(crate::support::NOW_MS + 1_000).unwrap();
        for (db, order) in [(&db, 50), (&in_turn, 60)] {
            let (items, contents) = (Repository::<Section>::new(db), SectionContents::new(db));
            let moves = async || {
                let mut moves = Vec::new();
                for section in &sections {
                    let id = Id::parse(section["id"].as_str().unwrap()).unwrap();
                    let patch = SectionPatch { sort_order: Some(order), parent_id: Patch::Clear, ..SectionPatch::default() };
                    moves.push((items.find_versioned(id).await.unwrap().unwrap(), patch));
                }
                moves
            };
            let stale = moves().await;
            assert_eq!(app.put("admin", &path(&sections[1]), &json!({ "sort_order": order - 1 })).await.status, 200);
            let place = async |section: &Value| {
                let document = stored(db, "sections", &section["id"]).await;
                ["sort_order", "parent_id", "updatedDate"].map(|field| document.get(field).cloned())
            };
            let before = [place(&sections[0]).await, place(&sections[1]).await];
            assert!(!contents.update_sections(&stale, now).await.unwrap());
            assert_eq!([place(&sections[0]).await, place(&sections[1]).await], before);
            assert!(contents.update_sections(&moves().await, now).await.unwrap());
            for section in &sections {
                let [order_now, parent, _] = place(section).await;
                assert_eq!((order_now, parent), (Some(Bson::Int64(order)), Some(Bson::Null)));
            }
        }
    }

    async fn no_item_stays_in_a_section_that_is_deleted_meanwhile(db: Database) {
        let app = App::on_with(&db, |config| config.middleware.unlimited = true).await;
        for round in 0..12 {
            let section = app.create("admin", "/sections", &new(&format!("Round {round}"))).await;
            let way = if round % 2 == 0 { path(&section) } else { format!("{}?force=true", path(&section)) };
            let request = |n: usize| {
                let (app, way, story) = (app.clone(), way.clone(), story_in(&section));
                async move {
                    if n == 3 { app.delete("admin", &way).await } else { app.post("author", "/stories", &story).await }
                }
            };
            app.at_once((0..7).map(request)).await;
            let is_gone = app.get_as("admin", &path(&section)).await.status == 404;
            let inside = Filter::eq("section_id", section["id"].as_str().unwrap());
            let inside = db.collection("stories").count(&inside).await.unwrap();
            assert!(!is_gone || inside == 0, "round {round}: {inside} stories in a deleted section");
        }
    }

    async fn an_item_is_not_restored_into_a_deleted_section(db: Database) {
        let app = App::on(&db).await;
        let section = app.create("admin", "/sections", &new("Section")).await;
        let created = app.create("admin", "/stories", &story_in(&section)).await;
        assert_eq!(app.delete("admin", &stories::path(&created)).await.status, 204);
        assert_eq!(app.delete("admin", &path(&section)).await.status, 204);
        let restore = format!("/trash/stories/{}/restore", created["id"].as_str().unwrap());
        assert_eq!(app.write("admin", Method::POST, &restore, &[], "").await.status, 200);
        assert_eq!(field(&db, "stories", &created["id"], "section_id").await, None);
    }

    async fn an_empty_reference_is_none_and_an_empty_filter_is_no_filter(db: Database) {
        let app = App::on(&db).await;
        let blog = app.get("/sections/slug/blog").await.json();
        let empty = json!({ "id": "" });
        let created = app.create("admin", "/stories", &story_in(&empty)).await;
        assert_eq!(created["section_id"], blog["id"]);
        assert_eq!(app.put("admin", &stories::path(&created), &story_in(&empty)).await.json()["section_id"], blog["id"]);
        let parent = app.create("admin", "/sections", &inside("Child", &blog)).await;
        assert_eq!(app.create("admin", "/sections", &inside("Root", &empty)).await["parent_id"], Value::Null);
        assert_eq!(app.put("admin", &path(&parent), &json!({ "parent_id": "" })).await.json()["parent_id"], Value::Null);
        for (list, total) in [("/stories?section_id=", 1), ("/projects?section_id=", 0), ("/sections?parent_id=&nav_visibility=", 6)] {
            let listed = app.get(list).await;
            assert_eq!((listed.status.as_u16(), &listed.json()["total"]), (200, &json!(total)), "{list}");
        }
        assert_eq!(app.delete("admin", &format!("{}?reassign_to=", path(&parent))).await.status, 204);
    }

    async fn a_whole_story_can_be_sent_back_after_its_section_is_gone(db: Database) {
        let app = App::on(&db).await;
        let section = app.create("admin", "/sections", &new("Gone")).await;
        let mut whole = app.create("admin", "/stories", &story_in(&section)).await;
        assert_eq!(app.delete("admin", &format!("{}?force=true", path(&section))).await.status, 204);
        // The editor still has the section that it read.
        assert_eq!(whole["section_id"], section["id"]);
        whole["title"] = json!("Edited");
        let saved = app.put("admin", &stories::path(&whole), &whole).await;
        assert_eq!((saved.status.as_u16(), &saved.json()["section_id"]), (200, &Value::Null));
        // One that the store still names is kept.
        let dangling = docstore::Update::new().set("section_id", section["id"].as_str().unwrap());
        db.collection("stories").update_many(&Filter::All, &dangling).await.unwrap();
        let kept = app.put("admin", &stories::path(&whole), &whole).await.json();
        assert_eq!(kept["section_id"], section["id"]);
        // A new story is refused.
        assert_eq!(app.post("admin", "/stories", &story_in(&section)).await.status, 422);
        let other = db.collection("stories").find_one(Find::new(Filter::eq("section_id", Bson::Null))).await.unwrap();
        assert_eq!(other, None);
    }

    async fn the_page_of_a_section_that_is_deleted_by_force_stays_public(db: Database) {
        let app = App::on(&db).await;
        let section = json!({ "title": "Colophon", "display_type": "static-page", "content_type": "page" });
        let section = app.create("admin", "/sections", &section).await;
        let page = json!({ "title": "Colophon", "content": "<p>Set in Rust</p>", "section_id": section["id"] });
        assert_eq!(app.put("admin", "/pages/colophon", &page).await.status, 200);
        assert_eq!(app.delete("admin", &format!("{}?force=true", path(&section))).await.status, 204);
        let page = app.get("/pages/colophon").await;
        assert_eq!((page.status.as_u16(), &page.json()["section_id"]), (200, &Value::Null));
    }
}
