use docstore::bson::oid::ObjectId;
use docstore::bson::{Bson, Document, doc, rawdoc};
use docstore::{Collection, Database, Error, Filter, Find, Update};

async fn one(c: &Collection, id: i32) -> Document {
    c.find_one(Find::new(Filter::id(id))).await.expect("a read").expect("a document")
}

/// Stores a document, updates it and returns the result with its fields in order.
async fn changed(c: &Collection, document: Document, update: Update) -> Result<Document, Error> {
    c.delete_many(&Filter::All).await.expect("a delete");
    c.insert_one(document).await.expect("an insert");
    c.update_one(&Filter::All, &update).await?;
    Ok(c.find_one(Find::new(Filter::All)).await.expect("a read").expect("a document"))
}

fn same(a: &Document, b: &Document) -> bool {
    a.iter().eq(b.iter())
}

testkit::stores! {
    async fn each_update_operator(db: Database) {
        let c = db.collection("things");
        for (before, update, after) in [
            (doc! {}, Update::new().set("a", 1), doc! { "a": 1 }),
            (doc! {}, Update::new().set("b", 1).set("a.x", 2), doc! { "a": { "x": 2 }, "b": 1 }),
            (doc! { "a": 1, "b": 2 }, Update::new().unset("a").unset("z"), doc! { "b": 2 }),
            (doc! { "a": 1 }, Update::new().inc("a", 2), doc! { "a": 3 }),
            (doc! { "a": 1 }, Update::new().inc("a", 2.5), doc! { "a": 3.5 }),
            (doc! { "a": i32::MAX }, Update::new().inc("a", 1), doc! { "a": i64::from(i32::MAX) + 1 }),
            (doc! {}, Update::new().inc("a", 7_i64), doc! { "a": 7_i64 }),
            (doc! { "a": [1] }, Update::new().add_to_set("a", vec![2]), doc! { "a": [1, [2]] }),
            (doc! {}, Update::new().add_to_set("a", 1), doc! { "a": [1] }),
            (doc! { "a": [1] }, Update::new().add_to_set("a", 1.0), doc! { "a": [1] }),
            (doc! { "a": [1] }, Update::new().add_to_set("a", doc! { "$each": [2] }).set("b", 1), doc! { "a": [1, { "$each": [2] }], "b": 1 }),
            (doc! {}, Update::new().set_on_insert("a", 1).set("b", 1), doc! { "b": 1 }),
        ] {
            let mut start = doc! { "_id": 1 };
            start.extend(before.clone());
            let mut wanted = doc! { "_id": 1 };
            wanted.extend(after);
            match changed(&c, start, update.clone()).await {
                Ok(got) => assert!(same(&got, &wanted), "{before} {update:?}\n  got {got}\n  wanted {wanted}"),
                // Neither engine lets an update store a field name with a dollar.
                Err(error) => assert!(
                    matches!(error, Error::Invalid(_)) && format!("{update:?}").contains("$each"),
                    "{update:?}: {error:?}"
                ),
            }
        }
    }

    async fn inapplicable_updates_are_rejected(db: Database) {
        let c = db.collection("things");
        for (before, update) in [
            (doc! { "a": "x" }, Update::new().inc("a", 1)),
            (doc! { "a": i64::MAX }, Update::new().inc("a", 1)),
            (doc! { "a": 1 }, Update::new().add_to_set("a", 1)),
            (doc! { "a": 1 }, Update::new().set("a.b", 1)),
            (doc! { "a": [1] }, Update::new().set("a.b", 1)),
        ] {
            let mut start = doc! { "_id": 1, "secret": "s3cret" };
            start.extend(before);
            let error = changed(&c, start.clone(), update.clone()).await.expect_err("refused");
            assert!(matches!(error, Error::Inapplicable { .. }), "{update:?}: {error:?}");
            assert!(!error.to_string().contains("s3cret"));
            assert!(same(&one(&c, 1).await, &start), "{update:?} changed something");
        }
        let refused = |error: Error| assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        refused(c.update_one(&Filter::All, &Update::new()).await.unwrap_err());
        refused(c.update_one(&Filter::All, &Update::new().set("_id", 1)).await.unwrap_err());
        refused(c.update_one(&Filter::All, &Update::new().set("a", 1).unset("a.b")).await.unwrap_err());
        refused(c.update_one(&Filter::All, &Update::new().inc("a", "1")).await.unwrap_err());
    }

    async fn matched_and_modified_counts_differ(db: Database) {
        let c = db.collection("things");
        c.insert_many((0..4).map(|n| doc! { "_id": n, "a": n % 2 }).collect()).await.unwrap();
        let done = c.update_many(&Filter::gte("_id", 0), &Update::new().set("a", 1)).await.unwrap();
        assert_eq!((done.matched, done.modified, done.upserted_id), (4, 2, None));
        let done = c.update_one(&Filter::id(9), &Update::new().set("a", 1)).await.unwrap();
        assert_eq!((done.matched, done.modified), (0, 0));
        // The same number with another width counts as modified.
        let done = c.update_one(&Filter::id(1), &Update::new().set("a", 1.0)).await.unwrap();
        assert_eq!((done.matched, done.modified), (1, 1));
        assert_eq!(c.delete_one(&Filter::eq("a", 1)).await.unwrap(), 1);
        assert_eq!(c.delete_many(&Filter::eq("a", 1)).await.unwrap(), 3);
        assert_eq!(c.delete_many(&Filter::All).await.unwrap(), 0);
    }

    async fn upserts(db: Database) {
        let c = db.collection("things");
        let filter = Filter::and([Filter::eq("k", "x"), Filter::eq("n.m", 1), Filter::gt("o", 5)]);
        let update = Update::new().set("a", 1).set_on_insert("b", 2);
        let done = c.upsert_one(&filter, &update).await.unwrap();
        let id = done.upserted_id.clone().expect("an id");
        assert!(matches!(id, Bson::ObjectId(_)));
        assert_eq!((done.matched, done.modified), (0, 0));
        let read = c.find_one(Find::new(Filter::id(id))).await.unwrap().unwrap();
        assert_eq!(read.keys().next().unwrap(), "_id");
        assert_eq!(read.get_document("n").unwrap(), &doc! { "m": 1 });
        assert!(!read.contains_key("o"));
        assert_eq!((read.get_i32("a").unwrap(), read.get_i32("b").unwrap()), (1, 2));
        let by_id = Filter::id("mine");
        let done = c.upsert_one(&by_id, &Update::new().inc("n", 1)).await.unwrap();
        assert_eq!(done.upserted_id, Some("mine".into()));
        let done = c.upsert_one(&by_id, &Update::new().inc("n", 1).set_on_insert("late", true)).await.unwrap();
        assert_eq!((done.matched, done.modified, done.upserted_id), (1, 1, None));
        assert_eq!(c.find_one(Find::new(by_id)).await.unwrap().unwrap(), doc! { "_id": "mine", "n": 2 });
    }

    async fn find_and_update(db: Database) {
        let c = db.collection("things");
        c.insert_many((1..=3).map(|n| doc! { "_id": n, "n": 0 }).collect()).await.unwrap();
        let increment = Update::new().inc("n", 1);
        let found = c.find_one_and_update(Filter::id(3), increment.clone()).await.unwrap().unwrap();
        assert_eq!(found, rawdoc! { "_id": 3, "n": 1 });
        assert_eq!(one(&c, 3).await, doc! { "_id": 3, "n": 1 });
        assert_eq!(one(&c, 2).await, doc! { "_id": 2, "n": 0 });
        assert_eq!(c.find_one_and_update(Filter::id(9), increment.clone()).await.unwrap(), None);
        for n in 1..3 {
            let found = c.find_one_and_upsert(Filter::id(9), increment.clone()).await.unwrap();
            assert_eq!(found, rawdoc! { "_id": 9, "n": n });
        }
        assert_eq!(one(&c, 9).await, doc! { "_id": 9, "n": 2 });
        let made = c.find_one_and_upsert(Filter::eq("slug", "x"), increment).await.unwrap();
        assert_ne!(made.get_object_id("_id").unwrap(), ObjectId::from_bytes([0; 12]));
        assert_eq!(made.get_str("slug").unwrap(), "x");
    }

    async fn concurrent_increments_are_not_lost(db: Database) {
        let c = db.collection("things");
        c.insert_one(doc! { "_id": 1, "n": 0 }).await.unwrap();
        let tasks: Vec<_> = (0..8).map(|_| {
            let c = c.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    c.update_one(&Filter::id(1), &Update::new().inc("n", 1)).await.unwrap();
                }
            })
        }).collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(one(&c, 1).await, doc! { "_id": 1, "n": 160 });
    }
}
