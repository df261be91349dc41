use docstore::Database;
use docstore::bson::doc;
use migrator::rehearsal::RehearsalRequest;
use migrator::{DownTarget, UpMode, UpTarget};

use crate::toys::{ToyBehavior, migrator, seed};

async fn untouched(
    db: &Database,
    before: &std::collections::BTreeMap<String, Vec<docstore::bson::Document>>,
) {
    assert_eq!(&testkit::dump!(db), before);
    assert_eq!(db.engine().siblings().await.unwrap().len(), 0, "nothing is left");
}

testkit::stores! {
    async fn rehearsal_applies_pending_migrations_to_a_copy(db: Database) {
        seed(&db).await;
        let toys = [("0001_person", ToyBehavior::PersonOfStories), ("0002_fill", ToyBehavior::Finds)];
        migrator(&db, &toys[..1]).up(UpMode::Operator).await.unwrap();
        let before = testkit::dump!(db);
        let rehearsal = migrator(&db, &toys).rehearse(&RehearsalRequest::default()).await.unwrap();
        untouched(&db, &before).await;
        assert_eq!(rehearsal.pending, ["0002_fill"]);
        assert_eq!(rehearsal.applied.len(), 1);
        assert_eq!((rehearsal.applied[0].id.as_str(), rehearsal.applied[0].counts[0].updated), ("0002_fill", 40));
        assert_eq!(rehearsal.findings[0].1.to_string(), "something is odd");
        assert!(rehearsal.failure.is_none());
        assert_ne!(rehearsal.scratch, db.location());
        let stories = rehearsal.copied.iter().find(|copied| copied.collection == "stories").unwrap();
        assert_eq!((stories.documents, stories.total), (40, 40));
        assert!(!rehearsal.copied.iter().any(|copied| copied.collection == "_migration_lock"));
    }

    async fn rehearsal_copies_a_sample_of_touched_collections(db: Database) {
        seed(&db).await;
        let before = testkit::dump!(db);
        let request = RehearsalRequest { sample: Some(7), ..RehearsalRequest::default() };
        let rehearsal = migrator(&db, &[("0001_fill", ToyBehavior::Fill)]).rehearse(&request).await.unwrap();
        untouched(&db, &before).await;
        let counts: Vec<_> = rehearsal.copied.iter().map(|c| (c.collection.as_str(), c.documents, c.total)).collect();
        assert_eq!(counts, [("notes", 25, 25), ("stories", 7, 40)]);
        assert_eq!(rehearsal.applied[0].counts[0].updated, 7);
    }

    async fn rehearsal_failure_names_violating_documents(db: Database) {
        seed(&db).await;
        let before = testkit::dump!(db);
        let toys = [("0001_fill", ToyBehavior::Fill), ("0002_unique", ToyBehavior::Unique("slug")), ("0003_person", ToyBehavior::PersonOfStories)];
        let rehearsal = migrator(&db, &toys).rehearse(&RehearsalRequest::default()).await.unwrap();
        untouched(&db, &before).await;
        assert_eq!(rehearsal.applied.len(), 1);
        let failure = rehearsal.failure.unwrap();
        assert_eq!((failure.id.as_deref(), failure.step.as_deref(), failure.exit_code), (Some("0002_unique"), Some("unique"), 1));
        assert_eq!(failure.violations.len(), 10);
        assert_eq!((failure.violations[0].id.as_str(), failure.violations[0].why.as_str()), ("1", "has the same slug as 0"));
        // Only as far as it was asked for.
        let request = RehearsalRequest { target: UpTarget::Steps(1), ..RehearsalRequest::default() };
        let rehearsal = migrator(&db, &toys).rehearse(&request).await.unwrap();
        assert!(rehearsal.failure.is_none() && rehearsal.applied.len() == 1, "{rehearsal:?}");
    }

    async fn rehearsal_copies_validators(db: Database) {
        seed(&db).await;
        let Some(server) = docstore::mongo::as_mongo(&db) else { return };
        let validator = doc! { "color": { "$exists": false }, "n": { "$lt": 38 } };
        server.run_command(doc! { "collMod": "stories", "validator": validator }).await.unwrap();
        let before = testkit::dump!(db);
        let rehearsal = migrator(&db, &[("0001_fill", ToyBehavior::Fill)]).rehearse(&RehearsalRequest::default()).await.unwrap();
        untouched(&db, &before).await;
        let failure = rehearsal.failure.unwrap();
        assert!(failure.error.contains("does not satisfy the collection's validator"), "{failure:?}");
        let ids: Vec<_> = failure.violations.iter().map(|violation| violation.id.as_str()).collect();
        assert_eq!(ids, ["38", "39"]);
    }
}

/// The embedded store has no validators.
#[test]
fn documents_that_a_validator_refuses_are_named() {
    testkit::on(testkit::Engine::Mongo, |target| async move {
        let db = testkit::open!(target);
        seed(&db).await;
        let server = docstore::mongo::as_mongo(&db).unwrap();
        let schema = doc! { "$jsonSchema": { "properties": { "n": { "maximum": 37 } } } };
        let expression = doc! { "$expr": { "$or": [{ "$lt": ["$n", 38] }, { "$eq": [{ "$type": "$color" }, "missing"] }] } };
        // Documents satisfy the second validator until they are changed.
        for (validator, violating) in [(schema, &["38", "39"][..]), (expression, &["38"])] {
            server
                .run_command(
                    doc! { "collMod": "stories", "validator": validator, "validationLevel": "strict" },
                )
                .await
                .unwrap();
            let migrator = migrator(&db, &[("0001_fill", ToyBehavior::Fill)]);
            let rehearsal = migrator.rehearse(&RehearsalRequest::default()).await.unwrap();
            let failure = rehearsal.failure.unwrap();
            let ids: Vec<_> = failure.violations.iter().map(|violation| violation.id.as_str()).collect();
            assert_eq!((failure.id.as_deref(), ids), (Some("0001_fill"), violating.to_vec()));
            let error = migrator.up(UpMode::Operator).await.unwrap_err().to_string();
            assert!(error.contains("the document 38 of stories does not satisfy"), "{error}");
            migrator.down(DownTarget::Last).await.unwrap();
        }
        db.close().await;
    });
}
