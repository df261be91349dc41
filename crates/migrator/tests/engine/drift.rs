use docstore::bson::doc;
use docstore::{Database, Filter, Index};
use migrator::{DriftKind, drift};

testkit::stores! {
    async fn index_drift_is_reported(db: Database) {
        let declared = vec![
            ("things".to_owned(), vec![Index::on(["a"]), Index::on(["b"]).unique(), Index::on(["c"])]),
            ("others".to_owned(), vec![Index::on(["d"]).partial(Filter::exists("d"))]),
        ];
        let missing = drift::compare(&db, &declared).await.unwrap();
        assert!(missing.iter().all(|drift| drift.kind == DriftKind::Missing));
        assert_eq!(missing.len(), 4);
        // Looking made nothing.
        assert!(db.collection_names().await.unwrap().is_empty());

        for (collection, index) in [
            ("things", Index::on(["a"])),
            ("things", Index::on(["b"])),
            ("things", Index::on(["c"]).named("by_c")),
            ("things", Index::on(["e"])),
            ("others", Index::on(["d"]).partial(Filter::exists("d"))),
            ("elsewhere", Index::on(["f"])),
        ] {
            db.ensure_index(collection, &index).await.unwrap();
        }
        let found = drift::compare(&db, &declared).await.unwrap();
        let reported: Vec<_> = found.iter().map(ToString::to_string).collect();
        let expected = [
            "things: c_1 (c) exists under another name: by_c (c)",
            "things: b_1 (b) unique is declared, but b_1 (b) exists",
            "things: e_1 (e) exists but is not declared",
        ];
        assert_eq!(reported, expected);
        assert_eq!(found.iter().filter(|drift| drift.kind.is_harmless()).count(), 1);
        let written = serde_json::to_value(&found[1]).unwrap();
        assert_eq!(written["declared"], serde_json::json!({ "key": { "b": 1 }, "name": "b_1", "unique": true }));
        assert_eq!(written["kind"], "different");
        db.collection("things").insert_one(doc! { "a": 1 }).await.unwrap();
    }
}
