use std::sync::Arc;

use bson::{Document, doc, oid::ObjectId};
use docstore::{Database, Filter};
use serde_json::Value;
use testkit::Target;

use crate::program::{Program, open_store};

const DAY_MS: i64 = 86_400_000;

/// Returns an item with the fields of every content type, changed and deleted `days` ago; live without a mark of deletion.
fn item(slug: &str, days: i64, more: Document) -> Document {
    let at = bson::DateTime::from_millis(bson::DateTime::now().timestamp_millis() - days * DAY_MS);
    let mut document = doc! {
        "_id": ObjectId::new(), "title": slug, "slug": slug, "page_type": slug, "content": "c", "createdDate": at,
        "updatedDate": at,
    };
    document.extend(more);
    document
}

fn deleted(slug: &str, days: i64) -> Document {
    let at = bson::DateTime::from_millis(bson::DateTime::now().timestamp_millis() - days * DAY_MS);
    item(slug, days, doc! { "deleted": true, "is_deleted": true, "deletedDate": at })
}

/// Inserts a story deleted yesterday, two deleted long ago (one by the original), a project deleted long ago, and an old live story.
async fn fill(db: &Database) {
    let stories = vec![
        deleted("yesterday", 1),
        deleted("long-ago", 40),
        item("by-the-original", 40, doc! { "deleted": true }),
        item("live", 40, doc! {}),
    ];
    db.collection("stories").insert_many(stories).await.expect("stories");
    db.collection("projects").insert_one(deleted("project", 40)).await.expect("a project");
}

async fn remaining(db: &Database, collection: &str) -> u64 {
    db.collection(collection).count(&Filter::All).await.expect("a count")
}

#[test]
fn bad_ages_and_types_are_usage_errors() {
    let program = Program::bare().with("ADMIN_EMAIL", "admin@example.com");
    for age in ["", "30", "d", "-1d", "1.5d", "30x", "99999999999999999999d"] {
        let result = program.run(&["trash", "purge", &format!("--older-than={age}"), "--yes"]).expect(2);
        assert!(result.stderr.contains("--older-than"), "{}", result.stderr);
    }
    program.run(&["trash", "purge"]).expect(2);
    program.run(&["trash", "purge", "--older-than", "30d", "--type", "users"]).expect(2);
    let broken = Program::bare().with("ADMIN_EMAIL", "admin@example.com").with("PORT", "x");
    broken.run(&["trash", "purge", "--older-than", "30d"]).expect(2);
    assert!(program.files().is_empty(), "{:?}", program.files());
}

#[test]
fn purge_does_not_create_a_missing_store() {
    let program = Program::bare().with("ADMIN_EMAIL", "admin@example.com");
    let result = program.run(&["trash", "purge", "--older-than", "30d"]).expect(0);
    assert_eq!(result.stdout, "nothing to purge\n");
    assert!(program.files().is_empty(), "{:?}", program.files());
}

testkit::targets! {
    async fn purge_requires_dry_run_or_yes(target: Arc<Target>) {
        let program = Program::on(&target);
        program.run(&["migrate", "up"]).expect(0);
        let db = open_store(&target).await;
        fill(&db).await;

        let dry = program.run(&["trash", "purge", "--older-than", "30d", "--dry-run"]).expect(0);
        assert_eq!(dry.stdout, "would purge stories: 2, projects: 1, pages: 0, sections: 0, media: 0\n");
        // Without a terminal, confirmation is impossible.
        let refused = program.run(&["trash", "purge", "--older-than", "30d"]).expect(8);
        assert!(refused.stderr.contains("stories: 2") && refused.stderr.contains("--yes"), "{}", refused.stderr);
        assert_eq!((remaining(&db, "stories").await, remaining(&db, "projects").await), (4, 1));

        let projects = program.run(&["trash", "purge", "--older-than", "5w", "--type", "projects,pages", "--yes"]).expect(0);
        assert_eq!(projects.stdout, "purged projects: 1, pages: 0\n");
        assert_eq!((remaining(&db, "stories").await, remaining(&db, "projects").await), (4, 0));

        let stories = program.run(&["trash", "purge", "--older-than", "720h", "--yes"]).expect(0);
        assert_eq!(stories.stdout, "purged stories: 2, projects: 0, pages: 0, sections: 0, media: 0\n");
        assert_eq!(program.run(&["trash", "purge", "--older-than", "30d"]).expect(0).stdout, "nothing to purge\n");

        program.run(&["trash", "purge", "--older-than", "0s", "--yes"]).expect(0);
        assert_eq!(remaining(&db, "stories").await, 1);
        assert_eq!(db.collection("stories").count(&Filter::eq("slug", "live")).await.unwrap(), 1);
        assert_eq!(remaining(&db, "sections").await, 4);
        db.close().await;
    }

    async fn purge_works_beside_a_running_server(target: Arc<Target>) {
        let program = Program::on(&target);
        let server = program.serve().await;
        let db = open_store(&target).await;
        fill(&db).await;
        let (status, trash) = server.get_as_admin("/trash?type=stories").await;
        assert_eq!((status, &trash["total"]), (200, &serde_json::json!(3)));
        program.run(&["trash", "purge", "--older-than", "30d", "--yes"]).expect(0);
        assert_eq!(server.get_as_admin("/trash?type=stories").await.1["total"], 1);
        db.close().await;
    }

    async fn purge_takes_reactions_and_comments_with_it(target: Arc<Target>) {
        let program = Program::on(&target);
        program.run(&["migrate", "up"]).expect(0);
        let db = open_store(&target).await;
        let (old, live) = (deleted("old", 40), item("live", 40, doc! {}));
        for story in [&old, &live] {
            let id = story.get_object_id("_id").expect("an id").to_hex();
            let about = doc! { "target_type": "story", "target_id": &id, "user_id": "u" };
            for collection in ["reactions", "comments"] {
                db.collection(collection).insert_one(about.clone()).await.expect("a document");
            }
            db.collection("engagement_counts").insert_one(doc! { "_id": format!("story:{id}") }).await.expect("counts");
        }
        db.collection("stories").insert_many(vec![old, live]).await.expect("stories");
        program.run(&["trash", "purge", "--older-than", "30d", "--yes"]).expect(0);
        for collection in ["stories", "reactions", "comments", "engagement_counts"] {
            assert_eq!(remaining(&db, collection).await, 1, "{collection}");
        }
        db.close().await;
    }

    async fn restore_forgets_counts_of_reactions(target: Arc<Target>) {
        let program = Program::on(&target);
        program.run(&["migrate", "up"]).expect(0);
        let db = open_store(&target).await;
        db.collection("reactions").insert_one(doc! { "target_id": "a" }).await.expect("a reaction");
        program.run(&["migrate", "backup"]).expect(0);
        // Counted after the backup, with a reaction that the restore takes back.
        db.collection("engagement_counts").insert_one(doc! { "_id": "story:a" }).await.expect("counts");
        db.collection("reactions").insert_one(doc! { "target_id": "a", "user_id": "u" }).await.expect("a reaction");
        let backups: Value = serde_json::from_str(&program.run(&["migrate", "backups", "--json"]).expect(0).stdout).expect("JSON");
        let id = backups["backups"][0]["id"].as_str().expect("a backup");
        program.run(&["migrate", "restore", id, "--replace", "--yes"]).expect(0);
        assert_eq!((remaining(&db, "reactions").await, remaining(&db, "engagement_counts").await), (1, 0));
        db.close().await;
    }
}
