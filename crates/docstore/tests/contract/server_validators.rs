use docstore::bson::doc;
use docstore::mongo::as_mongo;
use docstore::{Database, Error, Filter, Find, Sort, Update, Write};

/// Checks that the server's validator refused the document with this id.
fn refused(error: &Error, expected: i32) {
    let Error::InvalidDocument { collection, id: Some(id) } = error.root() else { panic!("{error:?}") };
    assert_eq!((collection.as_str(), id.as_i32()), ("things", Some(expected)));
}

testkit::stores! {
    async fn validator_set_through_the_driver_rejects_invalid_writes(db: Database) {
        let Some(server) = as_mongo(&db) else { return };
        let c = db.collection("things");
        c.insert_many(vec![doc! { "_id": 1, "n": 1 }, doc! { "_id": 2, "n": 2 }, doc! { "_id": 3 }]).await.unwrap();
        let validator = doc! { "n": { "$gt": 0 } };
        server.run_command(doc! { "collMod": "things", "validator": validator.clone() }).await.unwrap();
        assert_eq!(db.collection_options("things").await.unwrap().validator(), Some(&validator));
        refused(&c.insert_one(doc! { "_id": 4, "n": 0 }).await.unwrap_err(), 4);
        refused(&c.insert_many(vec![doc! { "n": 5 }, doc! { "_id": 5, "n": "x" }]).await.unwrap_err(), 5);
        let bad = || Update::new().set("n", -1);
        refused(&c.update_one(&Filter::id(1), &bad()).await.unwrap_err(), 1);
        refused(&c.update_many(&Filter::id(1), &bad()).await.unwrap_err(), 1);
        refused(&c.upsert_one(&Filter::id(9), &bad()).await.unwrap_err(), 9);
        refused(&c.find_one_and_update(Filter::id(1), bad()).await.unwrap_err(), 1);
        let writes = vec![
            Write::UpdateOne { filter: Filter::id(1), update: Update::new().set("m", 1) },
            Write::UpdateOne { filter: Filter::id(2), update: bad() },
        ];
        let error = c.bulk_write(writes).await.unwrap_err();
        assert!(matches!(error, Error::Batch { at: 1, .. }), "{error:?}");
        refused(&error, 2);
        let t = db.begin().await.unwrap();
        t.collection("things").insert_one(doc! { "_id": 20, "n": 1 }).await.unwrap();
        refused(&t.collection("things").insert_one(doc! { "_id": 21, "n": 0 }).await.unwrap_err(), 21);
        let _ = t.abort().await;
        let all = Find::new(Filter::exists("n")).sort(Sort::ascending("n"));
        let kept = c.find(all).await.unwrap().documents().await.unwrap();
        let numbers: Vec<_> = kept.iter().map(|d| d.get_i32("n").unwrap()).collect();
        assert_eq!(numbers, [1, 2, 5]);
    }
}
