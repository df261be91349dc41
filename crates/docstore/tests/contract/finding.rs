use docstore::bson::oid::ObjectId;
use docstore::bson::{Bson, DateTime, Document, doc};
use docstore::{Collection, Database, Error, Field, Filter, Find, Projection, Sort};

/// Returns the ids that a filter matches.
async fn found(c: &Collection, filter: Filter) -> Vec<i32> {
    let by_id = Find::new(filter.clone()).sort(Sort::ascending(Field::ID));
    let documents = c.find(by_id).await.expect("a read").documents().await.expect("documents");
    assert_eq!(c.count(&filter).await.expect("a count"), documents.len() as u64, "{filter:?}");
    documents.iter().map(|d| d.get_i32("_id").expect("an id")).collect()
}

async fn filled(db: &Database) -> Collection {
    let c = db.collection("things");
    c.insert_many(vec![
        doc! { "_id": 1, "a": 1 },
        doc! { "_id": 2, "a": 2.0 },
        doc! { "_id": 3, "a": 3_i64 },
        doc! { "_id": 4, "a": "text" },
        doc! { "_id": 5, "a": null },
        doc! { "_id": 6 },
        doc! { "_id": 7, "a": [1, "tea"] },
        doc! { "_id": 8, "a": { "b": 1 } },
        doc! { "_id": 9, "a": [{ "b": 1 }, { "b": 2 }] },
        doc! { "_id": 10, "a": [] },
        doc! { "_id": 11, "a": true },
        doc! { "_id": 12, "a": f64::NAN },
    ])
    .await
    .expect("inserts");
    c
}

testkit::stores! {
    /// The embedded store starts short reads on the calling thread and moves to a reader thread when they become long.
    async fn rare_matches_are_found_in_long_scans(db: Database) {
        let c = db.collection("things");
        let padding = "x".repeat(1000);
        let things = (0..1500).map(|n| doc! { "_id": n, "rare": n % 400 == 399, "group": n % 2, "padding": &padding });
        c.insert_many(things.collect()).await.expect("inserts");
        db.ensure_index("things", &docstore::Index::on(["group"])).await.expect("an index");
        let rare = Filter::eq("rare", true);
        let merged = rare.clone().also(Filter::is_in("group", [0, 1]));
        for filter in [rare.clone(), merged, rare.also(Filter::eq("group", 1))] {
            // Repeat with an open connection.
            for _ in 0..2 {
                let by_id = Find::new(filter.clone()).sort(Sort::ascending(Field::ID));
                for (find, expected) in [
                    (by_id.clone().limit(10), &[399, 799, 1199][..]),
                    (by_id.clone().limit(2), &[399, 799]),
                    (by_id.clone().skip(1).limit(1), &[799]),
                    (by_id.clone().skip(3).limit(1), &[]),
                    (by_id.limit(5).after(vec![399.into()]), &[799, 1199]),
                ] {
                    let read = c.find(find.clone()).await.expect("a read").documents().await.expect("documents");
                    let ids: Vec<_> = read.iter().map(|d| d.get_i32("_id").expect("an id")).collect();
                    assert_eq!(ids, expected, "{find:?}");
                }
            }
        }
    }

    async fn empty_position_starts_at_the_beginning(db: Database) {
        let c = filled(&db).await;
        for find in [Find::new(Filter::All), Find::new(Filter::All).sort(Sort::ascending(Field::ID))] {
            let read = c.find(find.after(Vec::new())).await.expect("a read").documents().await.expect("documents");
            assert_eq!(read.len(), 12);
        }
    }

    async fn equality_handles_number_widths_arrays_and_missing_fields(db: Database) {
        let c = filled(&db).await;
        assert_eq!(found(&c, Filter::All).await.len(), 12);
        assert_eq!(found(&c, Filter::eq("a", 1.0)).await, [1, 7]);
        assert_eq!(found(&c, Filter::eq("a", 2)).await, [2]);
        assert_eq!(found(&c, Filter::eq("a", Bson::Null)).await, [5, 6]);
        assert_eq!(found(&c, Filter::eq("a.b", 1)).await, [8, 9]);
        assert_eq!(found(&c, Filter::eq("a", doc! { "b": 1 })).await, [8, 9]);
        assert_eq!(found(&c, Filter::eq("a", vec![Bson::from(1), "tea".into()])).await, [7]);
        assert_eq!(found(&c, Filter::eq("a", Bson::Array(vec![]))).await, [10]);
        assert_eq!(found(&c, Filter::eq("a", f64::NAN)).await, [12]);
        assert_eq!(found(&c, Filter::ne("a", 1)).await, [2, 3, 4, 5, 6, 8, 9, 10, 11, 12]);
        assert_eq!(found(&c, Filter::is_in("a", [Bson::Null, 3.into()])).await, [3, 5, 6]);
        assert_eq!(found(&c, Filter::is_in("a", Vec::<Bson>::new())).await, [] as [i32; 0]);
    }

    async fn comparisons_stay_within_a_type(db: Database) {
        let c = filled(&db).await;
        assert_eq!(found(&c, Filter::gt("a", 1)).await, [2, 3]);
        assert_eq!(found(&c, Filter::gte("a", 1)).await, [1, 2, 3, 7]);
        assert_eq!(found(&c, Filter::lt("a", 3)).await, [1, 2, 7]);
        assert_eq!(found(&c, Filter::lte("a", "tf")).await, [4, 7]);
        assert_eq!(found(&c, Filter::gte("a", Bson::Null)).await, [5, 6]);
        assert_eq!(found(&c, Filter::gt("a", false)).await, [11]);
        assert_eq!(found(&c, Filter::lte("a", f64::NAN)).await, [12]);
        assert_eq!(found(&c, Filter::gt("a.b", 1)).await, [9]);
    }

    async fn exists_and_prefix_filters(db: Database) {
        let c = filled(&db).await;
        assert_eq!(found(&c, Filter::missing("a")).await, [6]);
        assert_eq!(found(&c, Filter::exists("a.b")).await, [8, 9]);
        assert_eq!(found(&c, Filter::starts_with("a", "te")).await, [4, 7]);
        assert_eq!(found(&c, Filter::starts_with("a", "")).await, [4, 7]);
        assert_eq!(found(&c, Filter::starts_with("a", "t.")).await, [] as [i32; 0]);
    }

    async fn combinations(db: Database) {
        let c = filled(&db).await;
        assert_eq!(found(&c, Filter::and([])).await.len(), 12);
        assert_eq!(found(&c, Filter::or([])).await.len(), 0);
        assert_eq!(found(&c, Filter::or([]).negated()).await.len(), 12);
        assert_eq!(found(&c, Filter::and([Filter::gte("a", 1), Filter::lt("a", 3)])).await, [1, 2, 7]);
        assert_eq!(found(&c, Filter::or([Filter::eq("a", 1), Filter::missing("a")])).await, [1, 6, 7]);
        assert_eq!(found(&c, Filter::exists("a").negated()).await, [6]);
        assert_eq!(found(&c, Filter::eq("a", 1).also(Filter::id(1))).await, [1]);
    }

    async fn value_types_are_distinct_and_preserved(db: Database) {
        let c = db.collection("things");
        let id = ObjectId::new();
        let whole = doc! { "_id": id, "z": 1_i64, "text": "a\0b", "when": DateTime::from_millis(-1), "n": 1.5,
            "list": [1, [2], { "x": null }], "nothing": {} };
        c.insert_one(whole.clone()).await.unwrap();
        assert_eq!(c.count(&Filter::id(id.to_hex())).await.unwrap(), 0);
        assert_eq!(c.count(&Filter::eq("text", "a\0b")).await.unwrap(), 1);
        assert_eq!(c.count(&Filter::eq("when", DateTime::from_millis(-1))).await.unwrap(), 1);
        let read = c.find_one(Find::new(Filter::id(id))).await.unwrap().unwrap();
        assert_eq!(read.iter().collect::<Vec<_>>(), whole.iter().collect::<Vec<_>>());
    }

    async fn sort_window_and_projection(db: Database) {
        let c = filled(&db).await;
        let ids = |documents: Vec<Document>| documents.iter().map(|d| d.get_i32("_id").unwrap()).collect::<Vec<_>>();
        let all = Find::new(Filter::All);
        let up = Sort::ascending("a").then_ascending(Field::ID);
        let sorted = c.find(all.clone().sort(up.clone())).await.unwrap().documents().await.unwrap();
        // Empty array, null and missing, NaN, numbers, strings, objects, booleans; arrays by their lowest element.
        assert_eq!(ids(sorted), [10, 5, 6, 12, 1, 7, 2, 3, 4, 8, 9, 11]);
        let down = Sort::descending("a").then_descending(Field::ID);
        let sorted = c.find(all.clone().sort(down)).await.unwrap().documents().await.unwrap();
        assert_eq!(ids(sorted), [11, 9, 8, 4, 7, 3, 2, 1, 12, 6, 5, 10]);
        let part = c.find(all.clone().sort(up.clone()).skip(3).limit(2)).await.unwrap().documents().await.unwrap();
        assert_eq!(ids(part), [12, 1]);
        assert_eq!(c.find(all.clone().limit(0)).await.unwrap().documents().await.unwrap(), Vec::<Document>::new());
        assert_eq!(c.find(all.clone().skip(99)).await.unwrap().documents().await.unwrap(), Vec::<Document>::new());
        let eight = Find::new(Filter::id(8));
        let only = c.find_one(eight.clone().projection(Projection::include(["a.b"]))).await.unwrap();
        assert_eq!(only, Some(doc! { "_id": 8, "a": { "b": 1 } }));
        let bare = c.find_one(eight.projection(Projection::id())).await.unwrap();
        assert_eq!(bare, Some(doc! { "_id": 8 }));
    }

    async fn many_documents_are_streamed(db: Database) {
        let c = db.collection("many");
        c.insert_many((0..2500).map(|n| doc! { "_id": n, "pad": "x".repeat(200) }).collect()).await.unwrap();
        let mut cursor = c.find(Find::new(Filter::All).sort(Sort::ascending(Field::ID))).await.unwrap();
        for n in 0..2500 {
            assert_eq!(cursor.next_document().await.unwrap().unwrap().get_i32("_id").unwrap(), n);
        }
        assert!(cursor.next_document().await.unwrap().is_none());
        let mut dropped = c.find(Find::new(Filter::All)).await.unwrap();
        assert!(dropped.next_raw().await.unwrap().is_some());
        drop(dropped);
        assert_eq!(c.count(&Filter::gte("_id", 2400)).await.unwrap(), 100);
    }

    async fn invalid_requests_are_rejected(db: Database) {
        let c = db.collection("things");
        let refused = |error: Error| assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        refused(c.count(&Filter::eq("$where", 1)).await.unwrap_err());
        refused(c.count(&Filter::eq("a..b", 1)).await.unwrap_err());
        refused(c.count(&Filter::eq("a", Bson::MaxKey)).await.unwrap_err());
        refused(c.find(Find::new(Filter::All).sort(Sort::ascending("a").then_descending("a"))).await.err().unwrap());
        let meet = Projection::include(["a", "a.b"]);
        refused(c.find(Find::new(Filter::All).projection(meet)).await.err().unwrap());
        refused(c.find(Find::new(Filter::All).limit(u64::MAX)).await.err().unwrap());
    }
}
