use docstore::bson::doc;
use docstore::{Database, EngineKind, Error, Filter, Topology};

testkit::stores! {
    async fn collections_are_created_and_dropped(db: Database) {
        assert!(db.collection_names().await.unwrap().is_empty());
        assert_eq!(db.collection("nowhere").count(&Filter::All).await.unwrap(), 0);
        for name in ["b", "a", "a.b"] {
            db.collection(name).insert_one(doc! {}).await.unwrap();
        }
        assert_eq!(db.collection_names().await.unwrap(), ["a", "a.b", "b"]);
        db.drop_collection("a").await.unwrap();
        db.drop_collection("a").await.unwrap();
        assert_eq!(db.collection_names().await.unwrap(), ["a.b", "b"]);
        for name in ["", "a$b", "a\0b"] {
            let error = db.collection(name).insert_one(doc! {}).await.unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{name:?}: {error:?}");
        }
    }

    async fn facts_describe_the_server(db: Database) {
        db.ping().await.unwrap();
        let facts = db.facts().await.unwrap();
        assert_eq!(facts.engine, db.kind());
        assert!(facts.transactions && facts.precise_changes && !facts.version.is_empty(), "{facts:?}");
        match db.kind() {
            EngineKind::Embedded => assert_eq!(facts.topology, Topology::File),
            EngineKind::Mongo => {
                assert!(matches!(facts.topology, Topology::ReplicaSet(_) | Topology::Sharded));
                assert!(facts.wire_version >= 13);
                let name = docstore::mongo::as_mongo(&db).expect("a driver's handle").name().to_owned();
                assert!(db.location().ends_with(&format!("/{name}")));
            }
        }
    }

    async fn closed_store_is_unavailable(db: Database) {
        db.collection("things").insert_one(doc! {}).await.unwrap();
        db.close().await;
        let error = db.collection("things").count(&Filter::All).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    }
}
