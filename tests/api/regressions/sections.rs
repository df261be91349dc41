use bson::{Bson, doc, oid::ObjectId};
use chrono::TimeDelta;
use docstore::{Database, Filter, Update};
use serde_json::{Value, json};

use crate::sections_write::{NO_ID, error, field, insert_into_section, inside, new, path};
use crate::support::{App, insert, section};

testkit::stores! {
    async fn regression_18_null_is_a_value_of_the_parent_alone(db: Database) {
        let app = App::on(&db).await;
        let parent = app.create("author", "/sections", &new("Parent")).await;
        let child = app.create("author", "/sections", &inside("Child", &parent)).await;
        assert_eq!(child["parent_id"], parent["id"]);
        let nulls = json!({
            "title": null, "slug": null, "parent_id": null, "display_type": null, "content_type": null,
            "nav_visibility": null, "sort_order": null, "is_published": null,
        });
        let errors: Vec<_> = app.put("author", &path(&child), &nulls).await.errors().into_iter().map(|e| e.0[1].clone()).collect();
        assert_eq!(errors, ["title", "slug", "display_type", "content_type", "nav_visibility", "sort_order", "is_published"]);
        assert_eq!(app.get(&path(&child)).await.json(), child);
        let root = app.put("author", &path(&child), &json!({ "parent_id": null })).await.json();
        assert_eq!(root["parent_id"], Value::Null);
        assert_eq!(app.get("/sections").await.json()["total"], 6);
    }

    async fn regression_18_sections_stay_a_tree(db: Database) {
        let app = App::on(&db).await;
        let a = app.create("author", "/sections", &new("A")).await;
        let b = app.create("author", "/sections", &inside("B", &a)).await;
        let c = app.create("author", "/sections", &inside("C", &b)).await;
        let wrong = [error("parent_id", "value_error")];
        for parent in ["zzz", NO_ID] {
            let mut bad = new("x");
            bad["parent_id"] = json!(parent);
            assert_eq!(app.post("author", "/sections", &bad).await.errors(), wrong, "{parent}");
            assert_eq!(app.put("author", &path(&a), &json!({ "parent_id": parent })).await.errors(), wrong, "{parent}");
        }
        for parent in [&a, &b, &c] {
            assert_eq!(app.put("author", &path(&a), &json!({ "parent_id": parent["id"] })).await.errors(), wrong);
        }
        assert_eq!(app.get(&path(&a)).await.json(), a);
        let moved = app.put("author", &path(&c), &json!({ "parent_id": a["id"] })).await.json();
        assert_eq!(moved["parent_id"], a["id"]);
        // A deleted section cannot be a parent.
        let gone = app.create("author", "/sections", &new("Gone")).await;
        assert_eq!(app.delete("author", &path(&gone)).await.status, 204);
        assert_eq!(app.post("author", "/sections", &inside("x", &gone)).await.errors(), wrong);
        // One whose parent is gone may stay where it is.
        let lost = insert(&db, section("lost", doc! { "parent_id": NO_ID })).await;
        let stays = app.put("admin", &format!("/sections/{lost}"), &json!({ "parent_id": NO_ID, "sort_order": 1 })).await;
        assert_eq!(stays.status, 200);
    }

    async fn regression_18_sections_are_at_most_32_deep(db: Database) {
        let app = App::on(&db).await;
        let mut deepest = app.create("author", "/sections", &new("Level 1")).await;
        for level in 2..=32 {
            app.clock.advance(TimeDelta::minutes(1));
            deepest = app.create("author", "/sections", &inside(&format!("Level {level}"), &deepest)).await;
        }
        app.clock.advance(TimeDelta::minutes(1));
        let wrong = [error("parent_id", "value_error")];
        assert_eq!(app.post("author", "/sections", &inside("Level 33", &deepest)).await.errors(), wrong);
        let other = app.create("author", "/sections", &new("Other")).await;
        assert_eq!(app.put("author", &path(&other), &json!({ "parent_id": deepest["id"] })).await.errors(), wrong);
    }

    async fn regression_18_slugs_are_normal_and_free(db: Database) {
        let app = App::on(&db).await;
        let notes = app.create("author", "/sections", &new("Notes")).await;
        let slug = |slug: &str| json!({ "slug": slug });
        assert_eq!(app.put("author", &path(&notes), &slug("My Own Slug!")).await.json()["slug"], "my-own-slug");
        for (taken, status) in [("blog", 409), ("Blog", 409), ("my-own-slug", 200)] {
            let answer = app.put("author", &path(&notes), &slug(taken)).await;
            assert_eq!(answer.status, status, "{taken}");
        }
        assert_eq!(app.put("author", &path(&notes), &slug("!!!")).await.errors(), [error("slug", "value_error")]);
        // With a new title the slug follows the title, whatever else is asked.
        let both = app.put("author", &path(&notes), &json!({ "title": "Blog", "slug": "other" })).await.json();
        assert_eq!(both["slug"], "blog-2");
        // The old ones lead to the new one, by the same name of the route.
        for (old, new) in [("/sections/slug/notes", "/sections/slug/blog-2"), ("/sections/by-slug/my-own-slug", "/sections/by-slug/blog-2")] {
            let moved = app.get(old).await;
            assert_eq!((moved.status.as_u16(), moved.header("location")), (301, new));
        }
    }

    async fn regression_12_the_title_of_a_deleted_section_can_be_used_again(db: Database) {
        let app = App::on(&db).await;
        for _ in 0..2 {
            let created = app.create("author", "/sections", &new("Notes")).await;
            assert_eq!(created["slug"], "notes");
            let gone = app.delete("author", &path(&created)).await;
            assert_eq!((gone.status.as_u16(), gone.bytes.len()), (204, 0));
            for mark in ["deleted", "is_deleted"] {
                assert_eq!(field(&db, "sections", &created["id"], mark).await, Some(Bson::Boolean(true)));
            }
            assert_eq!(app.get("/sections/slug/notes").await.status, 404);
        }
    }

    async fn regression_18_a_section_with_something_in_it_is_not_deleted(db: Database) {
        let app = App::on(&db).await;
        let parent = app.create("author", "/sections", &new("Parent")).await;
        let child = app.create("author", "/sections", &inside("Child", &parent)).await;
        let refused = app.delete("author", &path(&parent)).await;
        assert_eq!(refused.status, 409);
        assert!(refused.json()["detail"].as_str().unwrap().contains("1 section:"), "{}", refused.json());
        assert_eq!(app.delete("author", &path(&child)).await.status, 204);
        let id = parent["id"].as_str().unwrap();
        insert_into_section(&db, "stories", id).await;
        insert_into_section(&db, "stories", ObjectId::parse_str(id).unwrap()).await;
        insert_into_section(&db, "pages", id).await;
        let refused = app.delete("author", &path(&parent)).await;
        assert!(refused.json()["detail"].as_str().unwrap().contains("2 stories, 1 page:"), "{}", refused.json());
        assert_eq!(app.get(&path(&parent)).await.json(), parent);
        // What is deleted does not count.
        for collection in ["stories", "pages"] {
            let deleted = Update::new().set("deleted", true);
            db.collection(collection).update_many(&Filter::All, &deleted).await.unwrap();
        }
        assert_eq!(app.delete("author", &path(&parent)).await.status, 204);
    }

    async fn regression_17_null_means_the_root(db: Database) {
        let app = App::on(&db).await;
        let blog = app.get("/sections/slug/blog").await.json();
        let child = app.create("author", "/sections", &inside("Child", &blog)).await;
        // As the original stores them, or leaves them out.
        insert(&db, section("null", doc! { "parent_id": Bson::Null })).await;
        let mut bare = section("bare", doc! { "sort_order": 11 });
        bare.remove("parent_id");
        insert(&db, bare).await;
        let roots = app.get("/sections?parent_id=null").await;
        assert_eq!(roots.slugs(), ["blog", "about", "projects", "contact", "null", "bare"]);
        let children = app.get(&format!("/sections?parent_id={}", blog["id"].as_str().unwrap())).await.json();
        assert_eq!((&children["items"], &children["total"]), (&json!([child]), &json!(1)));
    }
}
