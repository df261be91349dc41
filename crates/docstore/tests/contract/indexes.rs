use docstore::bson::doc;
use docstore::{Database, Direction, Ensured, Error, Filter, Find, Index, Sort, Update, Write};

fn duplicate(error: &Error, name: &str, names: &[&str]) {
    let fits = matches!(error.root(), Error::DuplicateKey { index, fields, collection }
        if index == name && fields == names && collection == "things");
    assert!(fits, "{error:?}");
}

testkit::stores! {
    async fn indexes_are_created_listed_and_dropped(db: Database) {
        let partial = Filter::and([Filter::eq("published", true), Filter::gt("n", 5)]);
        let declared = [
            Index::on(["slug"]).unique(),
            Index::by([("published", Direction::Ascending), ("date", Direction::Descending)]),
            Index::on(["providers.name", "providers.id"]).named("lookup"),
            Index::on(["rare"]).sparse(),
            Index::on(["n"]).partial(partial),
        ];
        assert!(db.list_indexes("things").await.unwrap().is_empty());
        for index in &declared {
            assert_eq!(db.ensure_index("things", index).await.unwrap(), Ensured::Created);
            assert_eq!(db.ensure_index("things", index).await.unwrap(), Ensured::Existed);
        }
        assert_eq!(db.list_indexes("things").await.unwrap(), declared);
        let renamed = Index::on(["slug"]).unique().named("other");
        assert_eq!(db.ensure_index("things", &renamed).await.unwrap(), Ensured::ExistedAs("slug_1".into()));
        db.drop_index("things", "lookup").await.unwrap();
        db.drop_index("things", "lookup").await.unwrap();
        db.drop_index("nowhere", "lookup").await.unwrap();
        assert_eq!(db.list_indexes("things").await.unwrap().len(), 4);
    }

    async fn missing_indexes_are_created_together(db: Database) {
        let declared = [Index::on(["a"]).unique(), Index::on(["b"]), Index::on(["c"]).sparse()];
        db.ensure_index("things", &Index::on(["b"]).named("other")).await.unwrap();
        let ensured = db.ensure_indexes("things", &declared).await.unwrap();
        assert_eq!(ensured, [Ensured::Created, Ensured::ExistedAs("other".into()), Ensured::Created]);
        let ensured = db.ensure_indexes("things", &declared).await.unwrap();
        assert_eq!(ensured, [Ensured::Existed, Ensured::ExistedAs("other".into()), Ensured::Existed]);
        // The error is that of the first index that cannot be created.
        let things = [doc! { "a": 1, "d": 1, "e": 1 }, doc! { "a": 2, "d": 1, "e": 1 }];
        db.collection("things").insert_many(things.to_vec()).await.unwrap();
        let declared = [Index::on(["f"]), Index::on(["d"]).unique(), Index::on(["e"]).unique()];
        let (index, error) = db.ensure_indexes("things", &declared).await.unwrap_err();
        assert_eq!(index.name(), "d_1");
        duplicate(&error, "d_1", &["d"]);
        let names: Vec<_> = db.list_indexes("things").await.unwrap().iter().map(|i| i.name().to_owned()).collect();
        assert_eq!(names, ["other", "a_1", "c_1", "f_1"]);
    }

    async fn index_conflict_reports_both_definitions(db: Database) {
        let first = Index::on(["a"]);
        db.ensure_index("things", &first).await.unwrap();
        for other in [Index::on(["a"]).unique(), Index::on(["a"]).sparse(), Index::on(["b"]).named("a_1")] {
            let error = db.ensure_index("things", &other).await.unwrap_err();
            assert!(matches!(&error, Error::IndexConflict { declared, existing, .. }
                if **declared == other && **existing == first), "{error:?}");
            // The engine reports the conflict too if another process was faster.
            let error = db.engine().create_index("things", &other).await.unwrap_err();
            assert!(matches!(error, Error::IndexConflict { .. }), "{error:?}");
        }
        let nonsense = db.ensure_index("things", &Index::on(["$a"])).await.unwrap_err();
        assert!(matches!(nonsense, Error::Invalid(_)));
    }

    async fn unique_index_rejects_duplicates_in_every_write(db: Database) {
        let c = db.collection("things");
        db.ensure_index("things", &Index::on(["a", "b.c"]).unique().named("both of them")).await.unwrap();
        let names = ["a", "b.c"];
        c.insert_many(vec![doc! { "_id": 1, "a": 1 }, doc! { "_id": 2, "a": 2 }]).await.unwrap();
        let clash = || Update::new().set("a", 1.0);
        duplicate(&c.insert_one(doc! { "a": 1, "b": { "c": null } }).await.unwrap_err(), "both of them", &names);
        duplicate(&c.insert_many(vec![doc! { "a": 1 }]).await.unwrap_err(), "both of them", &names);
        duplicate(&c.update_one(&Filter::id(2), &clash()).await.unwrap_err(), "both of them", &names);
        duplicate(&c.update_many(&Filter::id(2), &clash()).await.unwrap_err(), "both of them", &names);
        duplicate(&c.upsert_one(&Filter::id(3), &clash()).await.unwrap_err(), "both of them", &names);
        duplicate(&c.find_one_and_update(Filter::id(2), clash()).await.unwrap_err(), "both of them", &names);
        let write = Write::UpdateOne { filter: Filter::id(2), update: clash() };
        let error = c.bulk_write(vec![Write::Insert(doc! { "_id": 4, "a": 4 }), write]).await.unwrap_err();
        assert!(matches!(error, Error::Batch { at: 1, .. }));
        duplicate(&error, "both of them", &names);
        for way in 0..4 {
            let t = db.begin().await.unwrap();
            let c = t.collection("things");
            let error = match way {
                0 => c.insert_one(doc! { "a": 1 }).await.unwrap_err(),
                1 => c.update_one(&Filter::id(2), &clash()).await.map(|_| ()).unwrap_err(),
                2 => c.find_one_and_update(Filter::id(2), clash()).await.unwrap_err(),
                _ => {
                    let write = Write::UpdateMany { filter: Filter::id(2), update: clash() };
                    let error = c.bulk_write(vec![Write::DeleteMany(Filter::id(9)), write]).await.unwrap_err();
                    assert!(matches!(error, Error::Batch { at: 1, .. }), "{error:?}");
                    error
                }
            };
            duplicate(&error, "both of them", &names);
        }
        db.drop_index("things", "both of them").await.unwrap();
        c.insert_one(doc! { "a": 1 }).await.unwrap();
        let error = db.ensure_index("things", &Index::on(["a"]).unique()).await.unwrap_err();
        duplicate(&error, "a_1", &["a"]);
        assert!(db.list_indexes("things").await.unwrap().is_empty());
    }

    async fn sparse_and_partial_indexes_exclude_documents(db: Database) {
        let c = db.collection("things");
        db.ensure_index("things", &Index::on(["a"]).unique().sparse()).await.unwrap();
        let partial = Index::on(["b"]).unique().partial(Filter::eq("live", true));
        db.ensure_index("things", &partial).await.unwrap();
        c.insert_many(vec![doc! { "b": 1, "live": true }, doc! { "b": 1 }, doc! { "a": null, "b": 1 }]).await.unwrap();
        duplicate(&c.insert_one(doc! { "a": null }).await.unwrap_err(), "a_1", &["a"]);
        duplicate(&c.insert_one(doc! { "b": 1, "live": true }).await.unwrap_err(), "b_1", &["b"]);
        assert_eq!(c.count(&Filter::eq("b", 1)).await.unwrap(), 3);
    }

    async fn array_elements_are_keys(db: Database) {
        let c = db.collection("things");
        db.ensure_index("things", &Index::on(["tags"]).unique()).await.unwrap();
        c.insert_one(doc! { "tags": ["a", "b", "a"] }).await.unwrap();
        duplicate(&c.insert_one(doc! { "tags": "b" }).await.unwrap_err(), "tags_1", &["tags"]);
        c.insert_one(doc! { "tags": [] }).await.unwrap();
        db.ensure_index("things", &Index::on(["x", "y"])).await.unwrap();
        let error = c.insert_one(doc! { "tags": 1, "x": [1], "y": [1] }).await.unwrap_err();
        assert!(matches!(error, Error::Inapplicable { .. }), "{error:?}");
    }

    async fn reads_use_declared_indexes(db: Database) {
        let c = db.collection("things");
        db.ensure_index("things", &Index::on(["slug"]).unique()).await.unwrap();
        let listing = Index::by([("live", Direction::Ascending), ("date", Direction::Descending)]);
        db.ensure_index("things", &listing).await.unwrap();
        c.insert_many((0..50).map(|n| doc! { "_id": n, "slug": n.to_string(), "live": n % 2 == 0, "date": n }).collect())
            .await.unwrap();
        let plan = async |find: Find| db.explain("things", &find).await.unwrap();
        let by_slug = plan(Find::new(Filter::eq("slug", "7"))).await;
        assert_eq!(by_slug.index.as_deref(), Some("slug_1"));
        let newest = Find::new(Filter::eq("live", true)).sort(Sort::descending("date")).limit(5);
        let newest = plan(newest).await;
        assert_eq!((newest.index.as_deref(), newest.sorts_in_memory), (Some("live_1_date_-1"), false));
        let by_id = plan(Find::new(Filter::id(3))).await;
        assert_eq!(by_id.index.as_deref(), Some("_id_"));
        let other = plan(Find::new(Filter::eq("other", 1)).sort(Sort::ascending("other"))).await;
        assert_eq!((other.index, other.sorts_in_memory), (None, true));
    }
}
