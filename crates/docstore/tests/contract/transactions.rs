use docstore::bson::{doc, rawdoc};
use docstore::{Database, Error, Filter, Find, Update, Write};

testkit::stores! {
    async fn writes_are_visible_inside_and_after_commit(db: Database) {
        let c = db.collection("things");
        c.insert_one(doc! { "_id": 1, "n": 1 }).await.unwrap();
        let t = db.begin().await.unwrap();
        let inside = t.collection("things");
        inside.insert_many(vec![doc! { "_id": 2, "n": 2 }]).await.unwrap();
        inside.update_many(&Filter::All, &Update::new().inc("n", 10)).await.unwrap();
        inside.bulk_write(vec![Write::Insert(doc! { "_id": 3 }), Write::DeleteMany(Filter::id(1))]).await.unwrap();
        let found = inside.find_one_and_update(Filter::id(3), Update::new().set("n", 3)).await.unwrap();
        assert_eq!(found, Some(rawdoc! { "_id": 3, "n": 3 }));
        assert_eq!(inside.count(&Filter::All).await.unwrap(), 2);
        assert_eq!(inside.find(Find::new(Filter::eq("n", 12))).await.unwrap().documents().await.unwrap(),
            [doc! { "_id": 2, "n": 12 }]);
        assert_eq!(c.find_one(Find::new(Filter::All)).await.unwrap(), Some(doc! { "_id": 1, "n": 1 }));
        t.commit().await.unwrap();
        assert_eq!(c.count(&Filter::All).await.unwrap(), 2);
        assert_eq!(c.count(&Filter::id(1)).await.unwrap(), 0);
    }

    async fn transaction_creates_collections(db: Database) {
        let t = db.begin().await.unwrap();
        t.collection("fresh").insert_one(doc! { "_id": 1 }).await.unwrap();
        t.commit().await.unwrap();
        assert_eq!(db.collection_names().await.unwrap(), ["fresh"]);
    }

    async fn aborted_and_dropped_transactions_are_rolled_back(db: Database) {
        let c = db.collection("things");
        c.insert_one(doc! { "_id": 1 }).await.unwrap();
        let t = db.begin().await.unwrap();
        t.collection("things").delete_many(&Filter::All).await.unwrap();
        t.abort().await.unwrap();
        let t = db.begin().await.unwrap();
        t.collection("things").insert_one(doc! { "_id": 2 }).await.unwrap();
        drop(t);
        // Succeeds once the dropped transaction has released its locks.
        c.update_one(&Filter::id(1), &Update::new().set("a", 1)).await.unwrap();
        assert_eq!(c.find(Find::new(Filter::All)).await.unwrap().documents().await.unwrap(), [doc! { "_id": 1, "a": 1 }]);
    }

    async fn failed_operation_ends_the_transaction(db: Database) {
        let c = db.collection("things");
        c.insert_one(doc! { "_id": 1 }).await.unwrap();
        let t = db.begin().await.unwrap();
        let inside = t.collection("things");
        inside.insert_one(doc! { "_id": 2 }).await.unwrap();
        assert!(matches!(inside.insert_one(doc! { "_id": 1 }).await.unwrap_err(), Error::DuplicateKey { .. }));
        let ended = |error: Error| assert!(matches!(error, Error::TransactionEnded(_)), "{error:?}");
        ended(inside.insert_one(doc! { "_id": 3 }).await.unwrap_err());
        ended(inside.find(Find::new(Filter::All)).await.err().unwrap());
        ended(t.commit().await.unwrap_err());
        ended(inside.count(&Filter::All).await.unwrap_err());
        assert_eq!(c.count(&Filter::All).await.unwrap(), 1);
    }

    async fn invalid_request_does_not_end_the_transaction(db: Database) {
        let t = db.begin().await.unwrap();
        let inside = t.collection("things");
        inside.insert_one(doc! { "_id": 1 }).await.unwrap();
        assert!(matches!(inside.update_one(&Filter::All, &Update::new()).await.unwrap_err(), Error::Invalid(_)));
        t.commit().await.unwrap();
        assert_eq!(db.collection("things").count(&Filter::All).await.unwrap(), 1);
    }

    async fn conflicting_transactions_are_transient_errors(db: Database) {
        let c = db.collection("things");
        c.insert_one(doc! { "_id": 1, "n": 0 }).await.unwrap();
        let tasks: Vec<_> = (0..4).map(|_| {
            let db = db.clone();
            tokio::spawn(async move {
                let increment = async || {
                    let t = db.begin().await?;
                    let c = t.collection("things");
                    let read = c.find_one(Find::new(Filter::id(1))).await?.expect("the document");
                    let n = read.get_i32("n").expect("a number");
                    c.update_one(&Filter::id(1), &Update::new().set("n", n + 1)).await?;
                    t.commit().await
                };
                for _ in 0..5 {
                    while let Err(error) = increment().await {
                        assert!(error.is_transient(), "{error:?}");
                    }
                }
            })
        }).collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(c.find_one(Find::new(Filter::id(1))).await.unwrap(), Some(doc! { "_id": 1, "n": 20 }));
    }
}
