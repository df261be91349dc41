use docstore::bson::{Bson, Document, doc};
use docstore::{Database, Error, Filter, Find, Update, UpdateResult, Write};

fn at(error: &Error) -> usize {
    match error {
        Error::Batch { at, .. } => *at,
        other => panic!("not a batch's error: {other:?}"),
    }
}

fn update(id: i32, update: Update) -> Write {
    Write::UpdateOne { filter: Filter::id(id), update }
}

testkit::stores! {
    async fn insert_generates_ids_and_puts_them_first(db: Database) {
        let c = db.collection("things");
        let ids = c.insert_many(vec![doc! { "a": 1 }, doc! { "a": 2, "_id": "mine" }]).await.unwrap();
        assert!(matches!(ids[0], Bson::ObjectId(_)));
        assert_eq!(ids[1], Bson::from("mine"));
        for id in ids {
            let read = c.find_one(Find::new(Filter::id(id))).await.unwrap().unwrap();
            assert_eq!(read.keys().collect::<Vec<_>>(), ["_id", "a"]);
        }
        assert!(c.insert_many(vec![]).await.unwrap().is_empty());
        assert_eq!(c.bulk_write(vec![]).await.unwrap(), UpdateResult::default());
    }

    async fn insert_many_stops_at_the_first_failure(db: Database) {
        let c = db.collection("things");
        let documents = [1, 2, 1, 3].map(|n| doc! { "_id": n }).to_vec();
        let error = c.insert_many(documents).await.unwrap_err();
        assert_eq!((at(&error), error.duplicate_index()), (2, Some("_id_")));
        assert!(matches!(error.root(), Error::DuplicateKey { fields, collection, .. }
            if fields == &["_id"] && collection == "things"), "{error:?}");
        assert_eq!(c.count(&Filter::All).await.unwrap(), 2);
        let error = c.insert_one(doc! { "_id": 1 }).await.unwrap_err();
        assert!(matches!(error, Error::DuplicateKey { .. }), "{error:?}");
    }

    async fn unsupported_documents_are_rejected_before_any_write(db: Database) {
        let c = db.collection("things");
        for bad in [doc! { "_id": [1] }, doc! { "a": Bson::MaxKey }, doc! { "a": [{ "b": Bson::Undefined }] }] {
            let error = c.insert_many(vec![doc! { "a": 1 }, bad]).await.unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        }
        assert_eq!(c.count(&Filter::All).await.unwrap(), 0);
    }

    async fn batch_runs_every_kind_of_write(db: Database) {
        let c = db.collection("things");
        let done = c.bulk_write(vec![
            Write::Insert(doc! { "_id": 1, "n": 1 }),
            Write::Insert(doc! { "_id": 2, "n": 1 }),
            update(1, Update::new().inc("n", 1)),
            update(7, Update::new().inc("n", 1)),
            Write::Insert(doc! { "_id": 3, "n": 5 }),
            Write::Insert(doc! { "_id": 4, "n": 5, "k": 9 }),
            Write::UpdateMany { filter: Filter::exists("n"), update: Update::new().set("n", 5) },
            Write::DeleteMany(Filter::id(1)),
            Write::DeleteMany(Filter::eq("n", 5)),
            Write::Insert(doc! { "_id": 1, "last": true }),
        ]).await.unwrap();
        assert_eq!(done, UpdateResult { matched: 5, modified: 3, upserted_id: None });
        let left = c.find(Find::new(Filter::All)).await.unwrap().documents().await.unwrap();
        assert_eq!(left, [doc! { "_id": 1, "last": true }]);
    }

    async fn batch_error_names_the_failed_write(db: Database) {
        let c = db.collection("things");
        let first = vec![Write::Insert(doc! { "_id": 1, "t": "x" }), Write::Insert(doc! { "_id": 2 }), update(2, Update::new().set("t", 1)),
            update(1, Update::new().inc("t", 1)), update(2, Update::new().set("late", 1))];
        let error = c.bulk_write(first).await.unwrap_err();
        assert_eq!(at(&error), 3);
        assert!(matches!(error.root(), Error::Inapplicable { .. }), "{error:?}");
        let second = vec![Write::DeleteMany(Filter::id(9)), Write::Insert(doc! { "_id": 5 }), Write::Insert(doc! { "_id": 1 })];
        let error = c.bulk_write(second).await.unwrap_err();
        assert_eq!((at(&error), error.duplicate_index()), (2, Some("_id_")));
        assert_eq!(c.count(&Filter::exists("late")).await.unwrap(), 0);
        assert_eq!(c.count(&Filter::All).await.unwrap(), 3);
    }

    async fn long_batches_are_supported(db: Database) {
        let c = db.collection("things");
        let mut writes: Vec<_> = (0..2300).map(|n| Write::Insert(doc! { "_id": n })).collect();
        writes.extend((0..2300).map(|n| update(n, Update::new().set("n", n))));
        writes.push(update(0, Update::new().add_to_set("n", 1)));
        let error = c.bulk_write(writes).await.unwrap_err();
        assert_eq!(at(&error), 4600);
        assert_eq!(c.count(&Filter::gte("n", 0)).await.unwrap(), 2300);
    }

    async fn document_over_the_size_limit_is_rejected(db: Database) {
        let c = db.collection("things");
        let fits = |n: usize| doc! { "_id": 1, "a": "x".repeat(n) };
        let overhead = docstore::bson::serialize_to_vec(&fits(0)).unwrap().len();
        let most = 16 * 1024 * 1024 - overhead;
        c.insert_one(fits(most)).await.unwrap();
        let error = c.insert_many(vec![doc! { "_id": 2 }, { let mut d: Document = fits(most + 1); d.insert("_id", 3); d }]).await.unwrap_err();
        assert_eq!(at(&error), 1);
        assert!(matches!(error.root(), Error::TooLarge { bytes, .. } if *bytes == 16 * 1024 * 1024 + 1), "{error:?}");
        let error = c.update_one(&Filter::id(1), &Update::new().set("more", "xyz")).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
        assert_eq!(c.count(&Filter::All).await.unwrap(), 2);
    }
}
