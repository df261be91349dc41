use bson::doc;
use docstore::{Database, EngineKind, Index};
use field_notes::repository::{declared_indexes, ensure_all};

testkit::stores! {
    async fn they_are_made_once(db: Database) {
        assert_eq!(ensure_all(&db).await.unwrap(), declared_indexes().len());
        assert_eq!(ensure_all(&db).await.unwrap(), 0);
    }

    async fn another_name_is_accepted(db: Database) {
        db.ensure_index("stories", &Index::on(["user_id"]).named("by_user")).await.unwrap();
        assert_eq!(ensure_all(&db).await.unwrap(), declared_indexes().len() - 1);
    }

    async fn index_conflict_reports_both_definitions(db: Database) {
        db.ensure_index("sections", &Index::on(["slug"])).await.unwrap();
        let said = ensure_all(&db).await.unwrap_err().to_string();
        for part in ["sections", "declared: slug_1 (slug) unique", "existing: slug_1 (slug)"] {
            assert!(said.contains(part), "{said}");
        }
        let remedy = match db.kind() {
            EngineKind::Mongo => r#"db.sections.dropIndex("slug_1")"#,
            EngineKind::Embedded => "field-notes migrate diff",
        };
        assert!(said.contains(remedy), "{said}");
    }

    async fn duplicates_are_listed_with_the_remedy(db: Database) {
        let twice = vec![doc! { "slug": "twice" }, doc! { "slug": "twice" }];
        db.collection("projects").insert_many(twice).await.unwrap();
        let said = ensure_all(&db).await.unwrap_err().to_string();
        for part in ["slug_1", "projects", "the same slug", "delete all but one", "\"twice\": "] {
            assert!(said.contains(part), "{said}");
        }
    }
}
