use docstore::bson::doc;
use docstore::{Database, Filter, Index, Validator};
use migrator::{DriftKind, Step, UpMode, drift};

use crate::declared::{declared, migrator};

testkit::stores! {
    async fn the_database_is_compared_with_what_is_declared(db: Database) {
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
        let told: Vec<_> = found.iter().map(ToString::to_string).collect();
        let expected = [
            "things: c_1 (c) is there under another name: by_c (c)",
            "things: b_1 (b) unique is declared, and b_1 (b) is there",
            "things: e_1 (e) is there and not declared",
        ];
        assert_eq!(told, expected);
        assert_eq!(found.iter().filter(|drift| drift.kind.is_harmless()).count(), 1);
        let written = serde_json::to_value(&found[1]).unwrap();
        assert_eq!(written["declared"], serde_json::json!({ "key": { "b": 1 }, "name": "b_1", "unique": true }));
        assert_eq!(written["kind"], "different");
        db.collection("things").insert_one(doc! { "a": 1 }).await.unwrap();
    }

    async fn a_validator_that_somebody_changed_is_told(db: Database) {
        let must = Validator::new(Filter::exists("a"));
        let set = declared("0001_a", vec![Step::set_validator("rule", "things", must.clone())]).contract();
        let migrator = migrator(&db, &[set]);
        assert!(migrator.validator_drift().await.unwrap().is_empty(), "nothing is applied yet");
        migrator.up(UpMode::Start).await.unwrap();
        assert!(migrator.validator_drift().await.unwrap().is_empty());
        db.set_validator("things", Some(&must.only_warn())).await.unwrap();
        let drift = migrator.validator_drift().await.unwrap();
        assert_eq!((drift[0].collection.as_str(), drift[0].migration.as_str()), ("things", "0001_a"));
        db.set_validator("things", None).await.unwrap();
        let told = migrator.validator_drift().await.unwrap()[0].to_string();
        assert!(told.starts_with("things: 0001_a set a validator: ") && told.ends_with("and there is no validator"), "{told}");
    }
}
