use std::time::Duration;

use docstore::bson::{Document, RawDocumentBuf, doc};
use docstore::{CollectionOptions, Database, EngineKind, Error, Filter, Index, Rights};

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).expect("a document that can be stored")
}

fn shape() -> CollectionOptions {
    let indexes = vec![
        Index::on(["slug"]).unique(),
        Index::on(["n"]).partial(Filter::exists("slug")),
        Index::on(["rare"]).sparse().named("seldom"),
    ];
    CollectionOptions::new(indexes)
}

testkit::stores! {
    async fn collection_options_round_trip(db: Database) {
        let declared = shape();
        db.create_collection("things", &declared).await.unwrap();
        db.create_collection("things", &declared).await.unwrap();
        let documents = vec![raw(&doc! { "_id": 1, "slug": "a" }), raw(&doc! { "_id": 2 })];
        db.insert_raw("things", documents).await.unwrap();
        db.complete_collection("things", &declared).await.unwrap();
        let found = db.collection_options("things").await.unwrap();
        assert_eq!(found.indexes, declared.indexes);
        let again = CollectionOptions::from_document(&found.to_document()).unwrap();
        assert_eq!(again, found);
        db.create_collection("others", &again).await.unwrap();
        db.complete_collection("others", &again).await.unwrap();
        assert_eq!(db.collection_options("others").await.unwrap(), found);
        let nowhere = db.collection_options("nowhere").await.unwrap();
        assert_eq!(nowhere, CollectionOptions::default());
        assert_eq!(db.collection_names().await.unwrap(), ["others", "things"]);
    }

    async fn a_new_name_takes_the_place_of_another_collection(db: Database) {
        db.collection("old").insert_one(doc! { "_id": 1 }).await.unwrap();
        db.ensure_index("old", &Index::on(["a"])).await.unwrap();
        db.collection("new").insert_many(vec![doc! { "_id": 2, "slug": "a" }, doc! { "_id": 3 }]).await.unwrap();
        db.complete_collection("new", &shape()).await.unwrap();
        db.rename_collection("new", "old").await.unwrap();
        assert_eq!(db.collection_names().await.unwrap(), ["old"]);
        assert_eq!(db.collection("old").count(&Filter::All).await.unwrap(), 2);
        let found = db.collection_options("old").await.unwrap();
        assert_eq!(found.indexes, shape().indexes);
        db.rename_collection("old", "fresh").await.unwrap();
        assert_eq!(db.collection_names().await.unwrap(), ["fresh"]);
        assert!(db.rename_collection("nowhere", "old").await.is_err());
        assert!(db.rename_collection("fresh", "fresh").await.is_err());
        assert_eq!(db.collection("fresh").count(&Filter::All).await.unwrap(), 2);
    }

    async fn a_scratch_database_is_apart_and_goes(db: Database) {
        db.collection("things").insert_one(doc! { "_id": 1 }).await.unwrap();
        let scratch = db.scratch("try").await.unwrap();
        let other = scratch.database().clone();
        assert_eq!(other.collection_names().await.unwrap().len(), 0);
        assert_ne!(other.location(), db.location());
        other.collection("things").insert_many(vec![doc! { "_id": 1 }, doc! { "_id": 2 }]).await.unwrap();
        let t = other.begin().await.unwrap();
        t.collection("more").insert_one(doc! { "_id": 1 }).await.unwrap();
        t.commit().await.unwrap();
        assert_eq!(db.collection("things").count(&Filter::All).await.unwrap(), 1);
        assert_eq!(db.engine().siblings().await.unwrap().len(), 1);
        scratch.discard().await.unwrap();
        assert_eq!(db.engine().siblings().await.unwrap().len(), 0);
        assert_eq!(db.collection_names().await.unwrap(), ["things"]);
        db.ping().await.unwrap();

        let left = db.scratch("left").await.unwrap();
        left.database().collection("things").insert_one(doc! {}).await.unwrap();
        left.database().close().await;
        assert_eq!(db.sweep_scratches("left", Duration::from_hours(1)).await.unwrap(), 0);
        assert_eq!(db.engine().siblings().await.unwrap().len(), 1);
        assert_eq!(db.sweep_scratches("try", Duration::ZERO).await.unwrap(), 0);
        assert_eq!(db.sweep_scratches("left", Duration::ZERO).await.unwrap(), 1);
        assert_eq!(db.engine().siblings().await.unwrap().len(), 0);
    }

    async fn rights_and_space_are_reported(db: Database) {
        db.collection("things").insert_one(doc! { "text": "x".repeat(1000) }).await.unwrap();
        assert_eq!(db.rights().await.unwrap(), Rights::Unlimited);
        let space = db.space().await.unwrap();
        assert!(space.used > 1000 && space.free.is_some_and(|free| free > 0), "{space:?}");
        let name = db.name();
        assert!(!name.is_empty() && db.location().ends_with(&name), "{name}");
    }

    async fn the_servers_own_words_are_kept(db: Database) {
        if db.kind() != EngineKind::Mongo {
            return;
        }
        let server = docstore::mongo::as_mongo(&db).unwrap();
        let validator = doc! { "$jsonSchema": { "required": ["title"] } };
        let collation = doc! { "locale": "en", "strength": 2 };
        server.run_command(doc! { "create": "things", "validator": validator, "collation": collation }).await.unwrap();
        let indexes = [
            doc! { "key": { "body": "text" }, "name": "words", "collation": { "locale": "simple" } },
            doc! { "key": { "at": 1 }, "name": "gone", "expireAfterSeconds": 60 },
        ];
        server.run_command(doc! { "createIndexes": "things", "indexes": indexes.to_vec() }).await.unwrap();
        server.run_command(doc! { "create": "seen", "viewOn": "things", "pipeline": [] }).await.unwrap();
        let found = db.collection_options("things").await.unwrap();
        let kept = CollectionOptions::from_document(&found.to_document()).unwrap();
        db.create_collection("copy", &kept).await.unwrap();
        db.complete_collection("copy", &kept).await.unwrap();
        assert_eq!(db.collection_options("copy").await.unwrap(), found);
        assert!(found.validator().is_some_and(|validator| validator.contains_key("$jsonSchema")));
        db.insert_raw("copy", vec![raw(&doc! { "_id": 1 })]).await.unwrap();
        let refused = db.collection("copy").insert_one(doc! { "_id": 2 }).await.unwrap_err();
        assert!(matches!(refused, Error::InvalidDocument { .. }), "{refused:?}");
        let view = db.collection_options("seen").await.unwrap();
        assert!(view.is_view());
        db.create_collection("seen too", &view).await.unwrap();
        db.complete_collection("seen too", &view).await.unwrap();
        assert!(db.collection_options("seen too").await.unwrap().is_view());
        server.run_command(doc! { "create": "series", "timeseries": { "timeField": "t" } }).await.unwrap();
        assert!(matches!(db.collection_options("series").await, Err(Error::Unsupported(_))));
        // The other engine has no words for it.
        let elsewhere = CollectionOptions::new(found.indexes);
        let refused = db.complete_collection("fresh", &elsewhere).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{refused:?}");
    }
}
