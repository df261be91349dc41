use std::sync::Arc;

use bson::{Bson, doc, oid::ObjectId};
use docstore::{Filter, Find};
use serde_json::Value;
use testkit::Target;

use crate::support::Setup;

testkit::targets! {
    async fn a_database_of_the_original_is_taken_over(target: Arc<Target>) {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup::on(&target, folder.path());
        let path = folder.path().join("data/field-notes.db");
        let open = || async {
            match &*target {
                Target::Embedded { .. } => docstore::embedded::open(docstore::embedded::Options { path: path.clone() }).await.unwrap(),
                Target::Mongo { .. } => testkit::open!(target),
            }
        };
        let db = open().await;
        let at = bson::DateTime::from_millis(1_767_000_000_000);
        let (admin, blog) = (ObjectId::new(), ObjectId::new());
        let ledger = ["0001_create_admin_user", "0002_add_user_id_to_content", "0003_seed_initial_sections", "0004_backfill_section_id"];
        for name in ledger {
            db.collection("pymongo_migrate").insert_one(doc! { "name": name, "applied": at }).await.unwrap();
        }
        let user = doc! { "_id": admin, "email": "admin@example.com", "name": "admin", "avatar_url": null, "role": "admin", "auth_providers": [], "createdDate": at, "updatedDate": at };
        db.collection("users").insert_one(user).await.unwrap();
        let section = |id: ObjectId, slug: &str, order: i32, more: bson::Document| {
            let mut section = doc! {
                "_id": id, "title": slug, "slug": slug, "parent_id": null, "display_type": "feed", "content_type": "story",
                "nav_visibility": "main", "sort_order": order, "is_published": true, "createdDate": at, "updatedDate": at,
            };
            section.extend(more);
            section
        };
        db.collection("sections").insert_many(vec![
            section(blog, "blog", 0, doc! { "is_deleted": false }),
            section(ObjectId::new(), "about", 1, doc! { "is_deleted": false, "deleted": true }),
            section(ObjectId::new(), "projects", 2, doc! { "is_deleted": true }),
            section(ObjectId::new(), "mine", 3, doc! { "user_id": admin.to_hex() }),
            section(ObjectId::new(), "below", 4, doc! { "parent_id": blog }),
        ]).await.unwrap();
        let story = doc! { "title": "t", "slug": "t", "content": "c", "is_published": true, "user_id": admin.to_hex(), "section_id": blog, "createdDate": at, "updatedDate": at };
        let story = db.collection("stories").insert_one(story).await.unwrap();
        let before = testkit::dump!(db);
        db.close().await;

        let mut server = setup.spawn().await;
        let sections = server.sections().await;
        let slugs: Vec<_> = sections["items"].as_array().unwrap().iter().map(|s| s["slug"].as_str().unwrap()).collect();
        assert_eq!(slugs, ["blog", "mine", "below"]);
        assert_eq!(sections["items"][2]["parent_id"], blog.to_hex());
        server.signal("TERM");
        assert_eq!(server.ended().await.code(), Some(0));

        let status: Value = serde_json::from_str(&setup.run(&["migrate", "status", "--json"]).out).unwrap();
        let applied = status["applied"].as_array().unwrap();
        assert_eq!(applied.len(), 4);
        assert!(applied.iter().all(|entry| entry["source"] == "imported"), "{status}");
        assert!(status["applied"][3]["warnings"][0].as_str().unwrap().contains("stories"), "{status}");

        let db = open().await;
        let after = testkit::dump!(db);
        for (name, documents) in &before {
            assert_eq!(after.get(name), Some(documents), "{name} is as it was");
        }
        let found = db.collection("stories").find_one(Find::new(Filter::id(story))).await.unwrap().unwrap();
        assert_eq!(found.get("section_id"), Some(&Bson::ObjectId(blog)), "found and named, not changed");
        db.close().await;
        // It has no journal, so taking it back loses data and has to be confirmed.
        let down = setup.run(&["migrate", "down"]);
        assert_eq!(down.code, Some(8), "{}", down.err);
        assert!(down.err.contains("--yes"), "{}", down.err);
    }
}
