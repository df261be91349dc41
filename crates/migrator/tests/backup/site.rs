use std::collections::BTreeMap;

use docstore::bson::oid::ObjectId;
use docstore::bson::{DateTime, Document, doc};
use docstore::{CollectionOptions, Database, Filter, Index};
use migrator::backup::{RestoreRequest, TakeRequest};

/// Removes the validator that [`build`] sets on a MongoDB server.
pub(crate) async fn remove_validator(db: &Database) {
    if let Some(server) = docstore::mongo::as_mongo(db) {
        server.run_command(doc! { "collMod": "stories", "validator": {} }).await.unwrap();
    }
}

/// Documents of several kinds of ids, an empty collection, indexes, a validator that some documents do not satisfy.
pub(crate) async fn build(db: &Database) {
    let stories = (0..1200).map(|i| doc! { "_id": i, "slug": format!("s{i}"), "text": "x".repeat(2000) });
    let odd = [
        doc! { "_id": ObjectId::from_bytes([7; 12]), "at": DateTime::from_millis(5), "list": [1, 2.5, "x"] },
        doc! { "_id": "text", "n": 5_i64, "inner": { "a": null } },
    ];
    db.collection("stories").insert_many(stories.chain(odd).collect()).await.unwrap();
    db.collection("notes.old").insert_many((0..3).map(|i| doc! { "_id": i }).collect()).await.unwrap();
    let slugs = Index::on(["slug"]).unique().sparse();
    db.ensure_index("stories", &slugs).await.unwrap();
    db.ensure_index("stories", &Index::on(["n"]).partial(Filter::exists("slug"))).await.unwrap();
    if let Some(server) = docstore::mongo::as_mongo(db) {
        let validator = doc! { "slug": { "$exists": true } };
        let command = doc! { "collMod": "stories", "validator": validator, "validationLevel": "moderate" };
        server.run_command(command).await.unwrap();
    }
    db.ensure_index("empty", &Index::on(["a"])).await.unwrap();
}

pub(crate) type Everything = BTreeMap<String, (CollectionOptions, Vec<Document>)>;

/// All that is in a database.
pub(crate) async fn everything(db: &Database) -> Everything {
    let mut all = Everything::new();
    for (name, documents) in testkit::dump!(db) {
        all.insert(name.clone(), (db.collection_options(&name).await.unwrap(), documents));
    }
    all
}

pub(crate) fn request() -> TakeRequest {
    TakeRequest {
        collections: None,
        why: "a test".into(),
        run_id: None,
        migration: None,
        app_version: "1.2.3".into(),
        now: DateTime::from_millis(1_700_000_000_000),
        cap_bytes: None,
    }
}

pub(crate) const REPLACE: RestoreRequest = RestoreRequest { replace: true, only: None };
