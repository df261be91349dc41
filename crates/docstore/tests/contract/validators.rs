use docstore::bson::doc;
use docstore::{Database, Error, Filter, Find, FindAndUpdate, Sort, Update, Validator, Write};

fn refused(error: &Error) {
    assert!(
        matches!(error.root(), Error::InvalidDocument { collection } if collection == "things"),
        "{error:?}"
    );
}

testkit::stores! {
    async fn a_strict_validator_refuses_in_every_way_of_writing(db: Database) {
        let c = db.collection("things");
        c.insert_many(vec![doc! { "_id": 1, "n": 1 }, doc! { "_id": 2, "n": 2 }, doc! { "_id": 3 }]).await.unwrap();
        let validator = Validator::new(Filter::gt("n", 0));
        db.set_validator("things", Some(&validator)).await.unwrap();
        assert_eq!(db.validator("things").await.unwrap(), Some(validator));
        refused(&c.insert_one(doc! { "n": 0 }).await.unwrap_err());
        refused(&c.insert_many(vec![doc! { "n": 5 }, doc! { "n": "x" }]).await.unwrap_err());
        let bad = || Update::new().set("n", -1);
        refused(&c.update_one(&Filter::id(1), &bad()).await.unwrap_err());
        refused(&c.update_many(&Filter::id(1), &bad()).await.unwrap_err());
        refused(&c.upsert_one(&Filter::id(9), &bad()).await.unwrap_err());
        refused(&c.find_one_and_update(FindAndUpdate::new(Filter::id(1), bad())).await.unwrap_err());
        let writes = vec![
            Write::UpdateOne { filter: Filter::id(1), update: Update::new().set("m", 1), upsert: false },
            Write::UpdateOne { filter: Filter::id(2), update: bad(), upsert: false },
        ];
        let error = c.bulk_write(writes).await.unwrap_err();
        assert!(matches!(error, Error::Batch { at: 1, .. }), "{error:?}");
        refused(&error);
        // One that did not pass before may only be changed into one that does.
        refused(&c.update_one(&Filter::id(3), &Update::new().set("m", 1)).await.unwrap_err());
        c.update_one(&Filter::id(3), &Update::new().set("n", 7)).await.unwrap();
        // A duplicate is not even looked for.
        refused(&c.insert_one(doc! { "_id": 1, "n": 0 }).await.unwrap_err());
        let t = db.begin().await.unwrap();
        t.collection("things").insert_one(doc! { "_id": 20, "n": 1 }).await.unwrap();
        refused(&t.collection("things").insert_one(doc! { "_id": 21, "n": 0 }).await.unwrap_err());
        let _ = t.abort().await;
        let all = Find::new(Filter::All).sort(Sort::ascending("n"));
        let kept = c.find(all).await.unwrap().documents().await.unwrap();
        let numbers: Vec<_> = kept.iter().map(|d| d.get_i32("n").unwrap()).collect();
        assert_eq!(numbers, [1, 2, 5, 7]);
    }

    async fn a_moderate_one_leaves_what_did_not_pass_before(db: Database) {
        let c = db.collection("things");
        c.insert_many(vec![doc! { "_id": 1, "n": 1 }, doc! { "_id": 2 }]).await.unwrap();
        let validator = Validator::new(Filter::gt("n", 0)).moderate();
        db.set_validator("things", Some(&validator)).await.unwrap();
        c.update_one(&Filter::id(2), &Update::new().set("m", 1)).await.unwrap();
        refused(&c.update_one(&Filter::id(1), &Update::new().unset("n")).await.unwrap_err());
        refused(&c.insert_one(doc! { "m": 1 }).await.unwrap_err());
    }

    async fn one_that_warns_lets_everything_pass_and_none_asks_for_nothing(db: Database) {
        let c = db.collection("things");
        let validator = Validator::new(Filter::exists("n")).only_warn();
        db.set_validator("things", Some(&validator)).await.unwrap();
        assert_eq!(db.collection_names().await.unwrap(), ["things"]);
        c.insert_one(doc! { "m": 1 }).await.unwrap();
        db.set_validator("things", Some(&Validator::new(Filter::exists("n")))).await.unwrap();
        refused(&c.insert_one(doc! { "m": 1 }).await.unwrap_err());
        db.set_validator("things", None).await.unwrap();
        assert_eq!(db.validator("things").await.unwrap(), None);
        c.insert_one(doc! { "m": 1 }).await.unwrap();
        db.set_validator("nowhere", None).await.unwrap();
        assert_eq!(db.validator("nowhere").await.unwrap(), None);
        assert_eq!(db.collection_names().await.unwrap(), ["things"]);
        let nothing = db.set_validator("things", Some(&Validator::new(Filter::All))).await.unwrap_err();
        assert!(matches!(nothing, Error::Invalid(_)), "{nothing:?}");
        db.set_validator("things", Some(&Validator::new(Filter::exists("n")))).await.unwrap();
        db.drop_collection("things").await.unwrap();
        c.insert_one(doc! { "m": 1 }).await.unwrap();
    }
}
