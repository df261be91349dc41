use std::sync::Arc;

use docstore::bson::oid::ObjectId;
use docstore::bson::{Bson, doc};
use docstore::{Database, Filter, Update};
use migrator::{Migrator, Settings, UpMode};

use crate::fixtures::{
    EMAIL, SLUGS, all, by_slug, content, create_unique_indexes, first_four, id_of_section, insert, migrator,
    now, seed_site, settings, up,
};

testkit::stores! {
    async fn empty_database_gets_admin_and_four_sections(db: Database) {
        let report = up(&db).await;
        assert_eq!(report.applied.len(), 4);
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        assert!(report.applied.iter().all(|a| a.warnings.is_empty()));
        let mut users = all(&db, "users").await;
        assert_eq!(users.len(), 1);
        users[0].remove("_id");
        let admin = doc! {
            "email": EMAIL, "name": "ada.lovelace", "avatar_url": null, "role": "admin", "auth_providers": [],
            "createdDate": now(), "updatedDate": now(),
        };
        assert_eq!(users[0], admin);
        let expected = [
            ("Blog", "blog", "feed", "story"),
            ("About", "about", "static-page", "page"),
            ("Projects", "projects", "card-grid", "project"),
            ("Contact", "contact", "static-page", "page"),
        ];
        assert_eq!(all(&db, "sections").await.len(), 4);
        for (order, (title, slug, display, kind)) in (0_i32..).zip(expected) {
            let mut section = by_slug(&db, slug).await;
            assert!(matches!(section.remove("_id"), Some(Bson::ObjectId(_))));
            let seed = doc! {
                "title": title, "slug": slug, "parent_id": null, "display_type": display, "content_type": kind,
                "nav_visibility": "main", "sort_order": order, "is_published": true, "is_deleted": false,
                "deleted": false, "createdDate": now(), "updatedDate": now(),
            };
            assert_eq!(section, seed);
        }
    }

    async fn missing_admin_email_fails_before_any_write(db: Database) {
        let without = Settings { env: Arc::new(|_| None), ..settings() };
        let migrator = Migrator::new(db.clone(), first_four(), without);
        let error = migrator.up(UpMode::Start).await.unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("0001_create_admin_user needs ADMIN_EMAIL") && error.to_string().contains(".env"), "{error}");
        assert!(testkit::dump!(db).is_empty());
    }

    async fn existing_user_is_promoted_and_keeps_other_fields(db: Database) {
        create_unique_indexes(&db).await;
        let user = doc! { "_id": ObjectId::new(), "email": EMAIL, "name": "Ada", "role": "commenter", "updatedDate": 1 };
        insert(&db, "users", vec![user.clone(), doc! { "email": "other@example.com", "role": "commenter" }]).await;
        let before = content(&db).await;
        let report = up(&db).await;
        let mut promoted = user;
        promoted.insert("role", "admin");
        let users = all(&db, "users").await;
        assert!(users.contains(&promoted) && users.len() == 2);
        assert!(users.iter().any(|u| u.get_str("role").unwrap() == "commenter"));
        let applied = format!("{:?}", report.applied);
        assert!(!applied.contains(EMAIL), "{applied}");
        for _ in 0..4 {
            migrator(&db).down(migrator::DownTarget::Last).await.unwrap().remove(0);
        }
        assert_eq!(content(&db).await, before);
    }

    async fn content_without_owner_is_assigned_to_admin(db: Database) {
        seed_site(&db).await;
        up(&db).await;
        let admin = all(&db, "users").await[0].get_object_id("_id").unwrap().to_hex();
        let stories = all(&db, "stories").await;
        assert_eq!(stories[0].get_str("user_id").unwrap(), admin);
        assert_eq!(stories[1].get_str("user_id").unwrap(), "64b000000000000000000001");
        assert_eq!(stories[2].get("user_id"), Some(&Bson::Null));
        assert_eq!(stories.iter().filter(|s| s.get_str("user_id").is_ok_and(|id| id == admin)).count(), 1098);
        assert_eq!(all(&db, "pages").await.iter().filter(|p| p.get_str("user_id").is_ok_and(|id| id == admin)).count(), 3);
        let owners: Vec<_> = all(&db, "projects").await.iter().map(|p| p.get_str("user_id").unwrap().to_owned()).collect();
        assert_eq!(owners, [admin, "someone".into()]);
    }

    async fn content_is_not_assigned_without_admin(db: Database) {
        let applied = |name: &str| doc! { "name": name, "applied": now() };
        insert(&db, "pymongo_migrate", vec![applied("0001_create_admin_user")]).await;
        insert(&db, "stories", vec![doc! { "slug": "a" }]).await;
        let error = migrator(&db).up(UpMode::Start).await.unwrap_err();
        assert_eq!(error.exit_code(), 1);
        let text = error.to_string();
        assert!(text.contains("0002_add_user_id_to_content failed") && text.contains("ADMIN_EMAIL") && text.contains("field-notes migrate"), "{text}");
        assert!(!text.contains(EMAIL), "{text}");
        assert!(!all(&db, "stories").await[0].contains_key("user_id"));
        // Findings of the import become warnings of the imported migration.
        let status = migrator(&db).status().await.unwrap();
        assert_eq!(status.applied[0].warnings, ["no user has the e-mail address of ADMIN_EMAIL"]);
        insert(&db, "users", vec![doc! { "email": EMAIL, "role": "admin" }]).await;
        migrator(&db).up(UpMode::Operator).await.unwrap();
        assert!(all(&db, "stories").await[0].contains_key("user_id"));
    }

    async fn existing_section_is_not_seeded_again(db: Database) {
        create_unique_indexes(&db).await;
        insert(&db, "sections", vec![doc! { "title": "My blog", "slug": "blog" }, doc! { "slug": "about", "is_deleted": false }]).await;
        let report = up(&db).await;
        assert_eq!(all(&db, "sections").await.len(), 4);
        assert_eq!(by_slug(&db, "blog").await.get_str("title").unwrap(), "My blog");
        let seeded: Vec<_> = report.applied[2].counts.iter().map(|c| (c.step.as_str(), c.inserted)).collect();
        assert_eq!(seeded, [("seed blog", 0), ("seed about", 0), ("seed projects", 1), ("seed contact", 1)]);
    }

    async fn deleted_section_keeps_its_slug_and_causes_warning(db: Database) {
        create_unique_indexes(&db).await;
        insert(&db, "sections", vec![
            doc! { "slug": "blog", "deleted": true },
            doc! { "slug": "about", "is_deleted": true },
            doc! { "slug": "contact", "is_deleted": false, "deleted": true },
        ]).await;
        insert(&db, "stories", vec![doc! { "slug": "a" }]).await;
        insert(&db, "pages", vec![doc! { "page_type": "about" }]).await;
        let report = up(&db).await;
        assert_eq!(all(&db, "sections").await.len(), 4);
        let warnings = &report.applied[2].warnings;
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        assert!(warnings[0].starts_with("the section blog was not seeded, since a deleted section has that slug"));
        // Content of a missing section is skipped with a warning; content of an existing section is linked.
        let warnings = &report.applied[3].warnings;
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        assert!(!all(&db, "stories").await[0].contains_key("section_id"));
        let status = migrator(&db).status().await.unwrap();
        assert_eq!(status.applied[2].warnings.len(), 3);
    }

    async fn content_gets_section_id_as_string(db: Database) {
        seed_site(&db).await;
        let report = up(&db).await;
        let stories = all(&db, "stories").await;
        let blog = id_of_section(&db, "blog").await.to_hex();
        assert_eq!(stories.iter().filter(|s| s.get_str("section_id").is_ok_and(|id| id == blog)).count(), 1097);
        assert_eq!(stories[3].get_str("section_id").unwrap(), "64b000000000000000000002");
        assert_eq!(stories[4].get("section_id"), Some(&Bson::Null));
        assert_eq!(stories[5].get("section_id"), Some(&Bson::ObjectId(ObjectId::from_bytes([7; 12]))));
        let projects = id_of_section(&db, "projects").await.to_hex();
        assert!(all(&db, "projects").await.iter().all(|p| p.get_str("section_id").unwrap() == projects));
        for page in all(&db, "pages").await {
            let kind = page.get_str("page_type").unwrap();
            let expected = if kind == "imprint" { None } else { Some(id_of_section(&db, kind).await.to_hex()) };
            assert_eq!(page.get_str("section_id").ok().map(str::to_owned), expected);
        }
        let odd = stories[5].get_object_id("_id").unwrap().to_hex();
        let finding = format!("1 of stories have a section_id that is an ObjectId instead of text: {odd}");
        assert_eq!(report.findings.iter().map(|(id, f)| (id.as_str(), f.0.as_str())).collect::<Vec<_>>(), [("0004_backfill_section_id", finding.as_str())]);
        assert_eq!(report.applied[3].warnings, [finding]);
    }

    async fn running_twice_changes_nothing(db: Database) {
        seed_site(&db).await;
        up(&db).await;
        let once = content(&db).await;
        // Without the ledger each migration runs again on its own result.
        for collection in ["_migrations", "_migration_undo", "_migration_log"] {
            db.drop_collection(collection).await.unwrap();
        }
        let report = up(&db).await;
        assert_eq!(report.applied.len(), 4);
        assert_eq!(content(&db).await, once);
        for applied in report.applied {
            assert!(applied.counts.iter().all(|c| c.inserted + c.updated == 0), "{applied:?}");
        }
    }

    async fn import_reports_violated_postconditions(db: Database) {
        seed_site(&db).await;
        up(&db).await;
        db.collection("sections").delete_many(&Filter::eq("slug", "contact")).await.unwrap();
        db.collection("projects").update_many(&Filter::All, &Update::new().unset("section_id").unset("user_id")).await.unwrap();
        db.collection("users").update_many(&Filter::All, &Update::new().set("role", "commenter")).await.unwrap();
        // The import checks the postconditions of migrations that another tool applied.
        db.drop_collection("_migrations").await.unwrap();
        let ids = ["0001_create_admin_user", "0002_add_user_id_to_content", "0003_seed_initial_sections", "0004_backfill_section_id"];
        insert(&db, "pymongo_migrate", ids.iter().map(|id| doc! { "name": *id, "applied": now() }).collect()).await;
        let before = content(&db).await;
        let report = up(&db).await;
        assert_eq!((report.applied.len(), report.imported.len()), (0, 4));
        assert_eq!(content(&db).await, before);
        let findings: Vec<_> = report.imported.iter().map(|i| i.warnings.first().cloned().unwrap_or_default()).collect();
        assert_eq!(findings, [
            "the user with the e-mail address of ADMIN_EMAIL is not an administrator",
            "2 of projects have no user_id",
            "no section has the slug contact",
            "2 of projects that belong to the section projects have no section_id",
        ]);
    }

    async fn existing_indexes_do_not_interfere(db: Database) {
        seed_site(&db).await;
        for collection in ["stories", "projects", "pages"] {
            db.ensure_index(collection, &docstore::Index::on(["section_id"])).await.unwrap();
            db.ensure_index(collection, &docstore::Index::on(["user_id"])).await.unwrap();
        }
        up(&db).await;
        assert_eq!(all(&db, "sections").await.len(), SLUGS.len() + 1);
    }
}
