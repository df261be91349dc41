use docstore::bson::{Bson, doc, rawdoc};
use docstore::{Direction, Error, Filter, Find, Index, Projection, Sort, Update, Write};

use super::{Fixture, all};

#[tokio::test]
async fn documents_are_inserted_found_updated_and_deleted() {
    let store = Fixture::new().await;
    let stories = store.database.collection("stories");
    let id = stories.insert_one(doc! { "slug": "one", "n": 1 }).await.unwrap();
    stories
        .insert_many(vec![doc! { "slug": "two", "n": 2 }, doc! { "slug": "three", "n": 3 }])
        .await
        .unwrap();

    assert_eq!(stories.count(&Filter::All).await.unwrap(), 3);
    let found = stories.find_one(Find::new(Filter::id(id.clone()))).await.unwrap().unwrap();
    assert_eq!(found, doc! { "_id": id, "slug": "one", "n": 1 });

    let result = stories.update_many(&Filter::gte("n", 2), &Update::new().inc("n", 10)).await.unwrap();
    assert_eq!((result.matched, result.modified), (2, 2));
    let find = Find::new(Filter::All).sort(Sort::descending("n")).skip(1).limit(1);
    let found = all(&store.database, "stories", find.projection(Projection::include(["n"]))).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].get("n"), Some(&Bson::Int32(12)));
    assert_eq!(found[0].len(), 2);

    assert_eq!(stories.delete_one(&Filter::eq("slug", "two")).await.unwrap(), 1);
    assert_eq!(stories.delete_many(&Filter::All).await.unwrap(), 2);
    assert_eq!(stories.count(&Filter::All).await.unwrap(), 0);
    assert_eq!(store.database.collection_names().await.unwrap(), ["stories"]);
    store.database.drop_collection("stories").await.unwrap();
    assert!(store.database.collection_names().await.unwrap().is_empty());
}

#[tokio::test]
async fn id_comes_first_and_must_not_be_an_array() {
    let store = Fixture::new().await;
    let c = store.database.collection("c");
    c.insert_one(doc! { "a": 1, "_id": 7, "b": 2 }).await.unwrap();
    let found = c.find_one(Find::new(Filter::id(7.0))).await.unwrap().unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["_id", "a", "b"]);
    assert!(matches!(c.insert_one(doc! { "_id": [1] }).await, Err(Error::Invalid(_))));
    let refused = c.insert_one(doc! { "when": Bson::MaxKey }).await.unwrap_err();
    assert!(refused.to_string().contains("when"), "{refused}");
}

#[tokio::test]
async fn unique_violation_names_the_index() {
    let store = Fixture::new().await;
    let c = store.database.collection("c");
    store.database.ensure_index("c", &Index::on(["slug"]).unique()).await.unwrap();
    c.insert_one(doc! { "_id": 1, "slug": "a" }).await.unwrap();
    let refused = c.insert_one(doc! { "_id": 2, "slug": "a" }).await.unwrap_err();
    assert_eq!(refused.duplicate_index(), Some("slug_1"));
    let refused = c.insert_one(doc! { "_id": 1.0, "slug": "a" }).await.unwrap_err();
    assert_eq!(refused.duplicate_index(), Some("_id_"));
    // A missing field counts as null, so only one such document can exist.
    c.insert_one(doc! { "_id": 3 }).await.unwrap();
    let refused = c.insert_one(doc! { "_id": 4, "slug": null }).await.unwrap_err();
    assert_eq!(refused.duplicate_index(), Some("slug_1"));
    // The same document may keep its key or contain it twice in an array.
    c.update_one(&Filter::id(1), &Update::new().set("slug", vec!["a", "b", "a"])).await.unwrap();
    let refused = c.update_one(&Filter::id(3), &Update::new().set("slug", "b")).await.unwrap_err();
    assert_eq!(refused.duplicate_index(), Some("slug_1"));

    let batch =
        vec![doc! { "_id": 5, "slug": "c" }, doc! { "_id": 6, "slug": "c" }, doc! { "_id": 7, "slug": "d" }];
    let refused = c.insert_many(batch).await.unwrap_err();
    assert!(matches!(&refused, Error::Batch { at: 1, .. }), "{refused}");
    assert_eq!(c.count(&Filter::is_in("_id", [5, 6, 7])).await.unwrap(), 1);
}

#[tokio::test]
async fn unique_index_over_duplicates_is_not_created() {
    let store = Fixture::new().await;
    let c = store.database.collection("c");
    c.insert_many(vec![doc! { "a": 1 }, doc! { "a": 1.0 }, doc! { "a": [1, 2], "b": [3] }]).await.unwrap();
    let refused = store.database.ensure_index("c", &Index::on(["a"]).unique()).await.unwrap_err();
    assert_eq!(refused.duplicate_index(), Some("a_1"));
    let refused = store.database.ensure_index("c", &Index::on(["a", "b"])).await.unwrap_err();
    assert!(matches!(refused, Error::Inapplicable { .. }), "{refused}");
    assert!(store.database.list_indexes("c").await.unwrap().is_empty());

    store.database.ensure_index("c", &Index::on(["a"])).await.unwrap();
    let other =
        store.database.engine().create_index("c", &Index::by([("a", Direction::Ascending)]).unique()).await;
    assert!(matches!(other, Err(Error::IndexConflict { .. })));
    store.database.drop_index("c", "a_1").await.unwrap();
    assert!(store.database.list_indexes("c").await.unwrap().is_empty());
}

#[tokio::test]
async fn upsert_copies_fields_from_the_filter() {
    let store = Fixture::new().await;
    let c = store.database.collection("c");
    let filter = Filter::and([Filter::eq("z", 1), Filter::eq("b.c", "x"), Filter::gt("n", 5)]);
    let update = Update::new().set("s", 2).set_on_insert("made", true);
    let result = c.upsert_one(&filter, &update).await.unwrap();
    let id = result.upserted_id.unwrap();
    assert_eq!((result.matched, result.modified), (0, 0));
    let found = c.find_one(Find::new(Filter::id(id.clone()))).await.unwrap().unwrap();
    let expected = doc! { "_id": id, "b": { "c": "x" }, "z": 1, "made": true, "s": 2 };
    assert_eq!(found, expected);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());

    for n in 1..3 {
        let found = c.find_one_and_upsert(Filter::id("k"), Update::new().inc("n", 1)).await.unwrap();
        assert_eq!(found, rawdoc! { "_id": "k", "n": n });
    }
}

#[tokio::test]
async fn batch_stops_at_the_first_failure() {
    let store = Fixture::new().await;
    let c = store.database.collection("c");
    let writes = vec![
        Write::Insert(doc! { "_id": 1, "n": "text" }),
        Write::Insert(doc! { "_id": 2, "n": 1 }),
        Write::UpdateOne { filter: Filter::id(2), update: Update::new().set("n", 1) },
        Write::UpdateMany { filter: Filter::eq("n", 1), update: Update::new().set("m", 1) },
        Write::DeleteMany(Filter::id(9)),
    ];
    let done = c.bulk_write(writes).await.unwrap();
    assert_eq!((done.matched, done.modified), (2, 1));

    let writes = vec![
        Write::Insert(doc! { "_id": 3 }),
        Write::UpdateOne { filter: Filter::id(1), update: Update::new().inc("n", 1) },
        Write::DeleteMany(Filter::All),
    ];
    let refused = c.bulk_write(writes).await.unwrap_err();
    assert!(matches!(refused.root(), Error::Inapplicable { .. }), "{refused}");
    assert!(matches!(refused, Error::Batch { at: 1, .. }));
    assert_eq!(c.count(&Filter::All).await.unwrap(), 3);
}

#[tokio::test]
async fn long_result_is_streamed_and_can_be_dropped() {
    let store = Fixture::new().await;
    let c = store.database.collection("c");
    store.database.ensure_index("c", &Index::on(["n"])).await.unwrap();
    store.database.ensure_index("c", &Index::on(["tags"])).await.unwrap();
    c.insert_many((0..3000).map(|n| doc! { "_id": n, "n": n % 7, "m": -n, "tags": [n, -n, 3] }).collect())
        .await
        .unwrap();
    let by_id = |n: i32| doc! { "_id": n };
    let only_id = Projection::include(["x"]);
    let natural = all(&store.database, "c", Find::new(Filter::All).projection(only_id.clone())).await;
    assert_eq!(natural, (0..3000).map(by_id).collect::<Vec<_>>());
    for (sort, expected) in [
        (Sort::ascending("_id"), (0..3000).collect::<Vec<i32>>()),
        (Sort::descending("_id"), (0..3000).rev().collect()),
        (Sort::ascending("m"), (0..3000).rev().collect()),
    ] {
        let find = Find::new(Filter::All).sort(sort).projection(only_id.clone());
        let found = all(&store.database, "c", find).await;
        assert_eq!(found, expected.into_iter().map(by_id).collect::<Vec<_>>());
    }
    for sort in [Sort::ascending("n"), Sort::descending("n")] {
        let found = all(&store.database, "c", Find::new(Filter::All).sort(sort.clone())).await;
        let mut ns: Vec<_> = found.iter().map(|d| d.get_i32("n").unwrap()).collect();
        assert_eq!(ns.len(), 3000);
        if sort == Sort::descending("n") {
            ns.reverse();
        }
        assert!(ns.is_sorted());
    }
    // Each document has three entries in this index and is returned once.
    let found = all(&store.database, "c", Find::new(Filter::gte("tags", -5000))).await;
    assert_eq!(found.len(), 3000);

    // More cursors than idle connections, all open concurrently, all dropped early.
    let mut cursors = Vec::new();
    for _ in 0..20 {
        let mut cursor = c.find(Find::new(Filter::All)).await.unwrap();
        assert_eq!(cursor.next_document().await.unwrap().unwrap().get_i32("_id").unwrap(), 0);
        cursors.push(cursor);
    }
    // An open cursor reads a snapshot.
    assert_eq!(c.delete_many(&Filter::All).await.unwrap(), 3000);
    let rest = cursors.pop().unwrap().documents().await.unwrap();
    assert_eq!(rest.len(), 2999);
    drop(cursors);
    assert_eq!(c.count(&Filter::All).await.unwrap(), 0);
}

#[tokio::test]
async fn document_over_the_size_limit_is_rejected() {
    let store = Fixture::new().await;
    let c = store.database.collection("c");
    let limit = 16 * 1024 * 1024;
    // 5 for the frame, 9 + 4 for the id, 3 + 5 for the field.
    let overhead =
        docstore::bson::RawDocumentBuf::try_from(&doc! { "_id": 1, "t": "" }).unwrap().as_bytes().len();
    c.insert_one(doc! { "_id": 1, "t": "x".repeat(limit - overhead) }).await.unwrap();
    let refused = c.insert_one(doc! { "_id": 2, "t": "x".repeat(limit - overhead + 1) }).await.unwrap_err();
    assert!(matches!(refused, Error::TooLarge { bytes, .. } if bytes == limit + 1), "{refused}");
    let refused = c.update_one(&Filter::id(1), &Update::new().set("u", 1)).await.unwrap_err();
    assert!(matches!(refused, Error::TooLarge { .. }), "{refused}");
    assert_eq!(c.count(&Filter::All).await.unwrap(), 1);
}

#[tokio::test]
async fn closed_store_returns_unavailable() {
    let store = Fixture::new().await;
    let c = store.database.collection("c");
    c.insert_one(doc! { "_id": 1 }).await.unwrap();
    store.database.close().await;
    for refused in [
        c.insert_one(doc! {}).await.map(drop).unwrap_err(),
        c.count(&Filter::All).await.map(drop).unwrap_err(),
        store.database.begin().await.map(drop).unwrap_err(),
        store.database.ping().await.unwrap_err(),
    ] {
        assert!(matches!(&refused, Error::Unavailable(why) if why == "the store is closed"), "{refused}");
    }
    // Everything is in one file.
    let names: Vec<_> =
        std::fs::read_dir(store.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["store.db"]);
    assert_eq!(store.again().await.collection("c").count(&Filter::All).await.unwrap(), 1);
}
