use docstore::bson::{Bson, doc};
use docstore::{Database, Filter, Update};
use migrator::DownTarget;

use crate::fixtures::{EMAIL, SLUGS, all, content, id_of_section, insert, migrator, seed_site, up};

async fn down(db: &Database) -> migrator::DownReport {
    migrator(db).down(DownTarget::Last).await.unwrap().remove(0)
}

testkit::stores! {
    async fn each_down_restores_exact_documents(db: Database) {
        seed_site(&db).await;
        let before = content(&db).await;
        up(&db).await;
        let after = content(&db).await;
        for id in ["0004_backfill_section_id", "0003_seed_initial_sections", "0002_add_user_id_to_content", "0001_create_admin_user"] {
            assert_eq!(down(&db).await.id, id);
        }
        assert_eq!(content(&db).await, before);
        assert!(all(&db, "_migration_undo").await.is_empty());
        up(&db).await;
        let again = content(&db).await;
        assert_eq!(again.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        for (collection, documents) in &again {
            assert_eq!(documents.len(), after[collection].len());
        }
        for _ in 0..4 {
            down(&db).await;
        }
        assert_eq!(content(&db).await, before);
    }

    async fn down_then_up_restores_the_same_state(db: Database) {
        seed_site(&db).await;
        up(&db).await;
        let after = content(&db).await;
        // The links depend only on documents that stay, so they are equal.
        down(&db).await;
        assert_ne!(content(&db).await, after);
        up(&db).await;
        assert_eq!(content(&db).await, after);
    }

    async fn down_keeps_manual_values(db: Database) {
        let user = doc! { "email": EMAIL, "name": "Ada", "role": "admin" };
        insert(&db, "users", vec![user]).await;
        insert(&db, "sections", vec![doc! { "slug": "blog", "title": "Mine" }]).await;
        let blog = id_of_section(&db, "blog").await.to_hex();
        insert(&db, "stories", vec![doc! { "slug": "a", "section_id": &blog, "user_id": "someone" }, doc! { "slug": "b" }]).await;
        let before = content(&db).await;
        up(&db).await;
        for _ in 0..4 {
            down(&db).await;
        }
        assert_eq!(content(&db).await, before);
    }

    async fn down_keeps_later_changes(db: Database) {
        seed_site(&db).await;
        up(&db).await;
        let moved = Update::new().set("section_id", "64b0000000000000000000aa");
        db.collection("projects").update_many(&Filter::eq("slug", "p"), &moved).await.unwrap();
        insert(&db, "stories", vec![doc! { "slug": "new", "section_id": id_of_section(&db, "blog").await.to_hex() }]).await;
        let report = down(&db).await;
        let projects = report.counts.iter().find(|c| c.collection == "projects").unwrap();
        assert_eq!((projects.updated, projects.left), (1, 1));
        let stories = all(&db, "stories").await;
        assert!(stories.iter().find(|s| s.get_str("slug").unwrap() == "new").unwrap().contains_key("section_id"));
        assert_eq!(all(&db, "projects").await.iter().filter(|p| p.contains_key("section_id")).count(), 1);
    }

    async fn down_of_edited_seeded_section_requires_confirmation(db: Database) {
        up(&db).await;
        down(&db).await;
        let renamed = Update::new().set("title", "Journal");
        db.collection("sections").update_one(&Filter::eq("slug", "blog"), &renamed).await.unwrap();
        let error = migrator(&db).down(DownTarget::Last).await.unwrap_err();
        assert_eq!(error.exit_code(), 8);
        assert_eq!(all(&db, "sections").await.len(), SLUGS.len());
        migrator(&db).down(DownTarget::Last.confirmed()).await.unwrap();
        assert_eq!(all(&db, "sections").await, Vec::<docstore::bson::Document>::new());
        assert_eq!(all(&db, "users").await[0].get("avatar_url"), Some(&Bson::Null));
    }

    async fn down_of_sections_with_content_requires_confirmation(db: Database) {
        up(&db).await;
        let (blog, about) = (id_of_section(&db, "blog").await, id_of_section(&db, "about").await);
        down(&db).await;
        insert(&db, "stories", vec![doc! { "slug": "a", "section_id": blog.to_hex() }, doc! { "slug": "b", "section_id": blog }]).await;
        insert(&db, "projects", vec![doc! { "slug": "p", "section_id": "64b0000000000000000000aa" }]).await;
        insert(&db, "sections", vec![doc! { "slug": "team", "parent_id": about.to_hex() }]).await;
        let plan = migrator(&db).plan_down(DownTarget::Last).await.unwrap().remove(0);
        assert_eq!(plan.losses, [
            "deletes documents of sections to which 2 documents refer, by section_id of stories",
            "deletes documents of sections to which 1 document refers, by parent_id of sections",
        ]);
        assert_eq!(migrator(&db).down(DownTarget::Last).await.unwrap_err().exit_code(), 8);
        assert_eq!(all(&db, "sections").await.len(), SLUGS.len() + 1);
        migrator(&db).down(DownTarget::Last.confirmed()).await.unwrap();
        assert_eq!(all(&db, "sections").await.len(), 1);
        assert_eq!(all(&db, "stories").await.len(), 2);
    }

    async fn down_of_an_administrator_with_content_requires_confirmation(db: Database) {
        up(&db).await;
        for _ in 0..3 {
            down(&db).await;
        }
        let owner = all(&db, "users").await[0].get_object_id("_id").unwrap().to_hex();
        insert(&db, "stories", vec![doc! { "slug": "a", "user_id": owner }]).await;
        assert_eq!(migrator(&db).down(DownTarget::Last).await.unwrap_err().exit_code(), 8);
        assert_eq!(all(&db, "users").await.len(), 1);
    }
}
