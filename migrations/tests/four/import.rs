use docstore::Database;
use docstore::bson::oid::ObjectId;
use docstore::bson::{Bson, DateTime, Document, doc};
use migrator::{DownTarget, Source};

use crate::fixtures::{
    EMAIL, SLUGS, all, by_slug, content, create_unique_indexes, id_of_section, insert, migrator,
    original_section, up,
};

/// The version of the original's fourth migration that ran.
#[derive(Clone, Copy, PartialEq)]
enum Version {
    /// Links as strings; skips missing sections.
    Text,
    /// Links as `ObjectId`.
    ObjectId,
}

/// Creates a database of the original with all four migrations applied and later changes.
async fn original(db: &Database, version: Version) {
    create_unique_indexes(db).await;
    let admin = insert(db, "users", vec![doc! { "email": EMAIL, "name": "ada", "role": "admin" }]).await;
    let owner = admin[0].as_object_id().unwrap().to_hex();
    let mut sections: Vec<_> = (0..).zip(SLUGS).map(|(i, slug)| original_section(slug, i)).collect();
    // Deleted through the original, which sets the other flag.
    sections[3].insert("deleted", true);
    insert(db, "sections", sections).await;
    let link =
        |id: ObjectId| if version == Version::ObjectId { Bson::ObjectId(id) } else { id.to_hex().into() };
    let blog = id_of_section(db, "blog").await;
    let story = |i: i32| doc! { "slug": format!("s{i}"), "user_id": &owner, "section_id": link(blog) };
    insert(db, "stories", (0..7).map(story).collect()).await;
    let projects = link(id_of_section(db, "projects").await);
    insert(db, "projects", vec![doc! { "slug": "p", "user_id": &owner, "section_id": projects }]).await;
    let ids = migrator(db).graph().ids().map(str::to_owned).collect::<Vec<_>>();
    let applied =
        (1..).zip(ids).map(|(i, id)| doc! { "name": id, "applied": DateTime::from_millis(i * 1000) });
    insert(db, "pymongo_migrate", applied.collect::<Vec<Document>>()).await;
}

testkit::stores! {
    async fn import_applies_and_changes_nothing(db: Database) {
        original(&db, Version::Text).await;
        let before = content(&db).await;
        let report = up(&db).await;
        assert_eq!((report.imported.len(), report.applied.len()), (4, 0));
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        assert_eq!(content(&db).await, before);
        let status = migrator(&db).status().await.unwrap();
        let dates: Vec<_> = status.applied.iter().map(|e| (e.source, e.applied_at.unwrap().timestamp_millis())).collect();
        assert_eq!(dates, [1, 2, 3, 4].map(|i| (Some(Source::Imported), i * 1000)));
        assert_eq!(up(&db).await.already_applied, 4);
    }

    async fn import_reports_object_id_links(db: Database) {
        original(&db, Version::ObjectId).await;
        let before = content(&db).await;
        let report = up(&db).await;
        let findings: Vec<_> = report.findings.iter().map(|(id, f)| (id.as_str(), f.0.as_str())).collect();
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings.iter().all(|(id, _)| *id == "0004_backfill_section_id"));
        let stories = all(&db, "stories").await;
        let named: Vec<_> = stories[..5].iter().map(|s| s.get_object_id("_id").unwrap().to_hex()).collect();
        let expected = format!("7 of stories have a section_id that is an ObjectId instead of text: {}, …", named.join(", "));
        assert_eq!(findings[0].1, expected);
        assert!(findings[1].1.starts_with("1 of projects have"));
        assert_eq!(content(&db).await, before);
    }

    async fn partial_import_applies_the_rest(db: Database) {
        // The first version of the third migration seeded nothing if any section existed.
        let admin = insert(&db, "users", vec![doc! { "email": EMAIL, "role": "admin" }]).await;
        insert(&db, "sections", vec![original_section("blog", 0)]).await;
        insert(&db, "stories", vec![doc! { "slug": "a", "user_id": admin[0].as_object_id().unwrap().to_hex() }]).await;
        let entry = |name: &str, applied: Bson| doc! { "name": name, "applied": applied };
        insert(&db, "pymongo_migrate", vec![
            entry("0001_create_admin_user", DateTime::from_millis(1).into()),
            entry("0002_add_user_id_to_content", DateTime::from_millis(2).into()),
            entry("0003_seed_initial_sections", DateTime::from_millis(3).into()),
            entry("0004_backfill_section_id", Bson::Null),
        ]).await;
        let report = up(&db).await;
        assert_eq!((report.imported.len(), report.applied.len()), (3, 1));
        let missing = ["about", "projects", "contact"].map(|slug| format!("no section has the slug {slug}"));
        assert_eq!(report.imported[2].warnings, missing);
        assert_eq!(report.applied[0].warnings.len(), 3);
        assert_eq!(all(&db, "stories").await[0].get_str("section_id").unwrap(), id_of_section(&db, "blog").await.to_hex());
    }

    async fn rollback_of_imported_migrations_lists_losses(db: Database) {
        original(&db, Version::ObjectId).await;
        insert(&db, "stories", vec![doc! { "slug": "mine", "section_id": "by hand" }]).await;
        up(&db).await;
        let mut plans = Vec::new();
        for _ in 0..4 {
            let plan = migrator(&db).plan_down(DownTarget::Last).await.unwrap().remove(0);
            let error = migrator(&db).down(DownTarget::Last).await.unwrap_err();
            assert_eq!(error.exit_code(), 8);
            assert!(!error.to_string().contains(EMAIL), "{error}");
            migrator(&db).down(DownTarget::Last.confirmed()).await.unwrap().remove(0);
            plans.push(plan);
        }
        let losses: Vec<_> = plans.iter().map(|plan| plan.losses.clone()).collect();
        assert_eq!(losses, [
            vec![
                "unsets section_id on 8 of stories, including links that were set by hand",
                "unsets section_id on 1 of projects, including links that were set by hand",
            ],
            vec!["deletes 4 of sections, regardless of their origin; content keeps the ids of the deleted sections"],
            vec![
                "unsets user_id on 7 of stories, including owners other than the administrator",
                "unsets user_id on 1 of projects, including owners other than the administrator",
            ],
            vec!["deletes 1 of users, the administrator's account, even if it existed before the migration"],
        ]);
        assert!(all(&db, "users").await.is_empty() && all(&db, "sections").await.is_empty());
        assert!(all(&db, "stories").await.iter().all(|s| !s.contains_key("user_id") && !s.contains_key("section_id")));
        let report = up(&db).await;
        assert_eq!(report.applied.len(), 4);
        assert_eq!(by_slug(&db, "contact").await.get("deleted"), Some(&Bson::Boolean(false)));
    }
}
