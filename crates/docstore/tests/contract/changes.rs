use std::time::Duration;

use docstore::bson::doc;
use docstore::{Change, Database, EngineKind, Filter, Index, Update};

const POLL: Duration = Duration::from_millis(100);

fn changed(id: i32) -> Change {
    Change::Document { collection: "things".into(), id: id.into(), in_transaction: false }
}

testkit::stores! {
    async fn changes_arrive_in_order(db: Database) {
        let c = db.collection("things");
        c.insert_one(doc! { "_id": 0 }).await.unwrap();
        let mut feed = db.watch(POLL).await.unwrap();
        c.insert_many(vec![doc! { "_id": 1 }, doc! { "_id": 2 }]).await.unwrap();
        c.update_one(&Filter::id(0), &Update::new().set("a", 1)).await.unwrap();
        c.delete_one(&Filter::id(1)).await.unwrap();
        db.ensure_index("things", &Index::on(["a"])).await.unwrap();
        c.upsert_one(&Filter::id(3), &Update::new().set("a", 1)).await.unwrap();
        let wanted = [changed(1), changed(2), changed(0),
            changed(1), changed(3)];
        for change in wanted {
            assert_eq!(feed.next().await.unwrap(), Some(change));
        }
    }

    async fn transaction_changes_arrive_after_commit(db: Database) {
        let c = db.collection("things");
        c.insert_one(doc! { "_id": 0 }).await.unwrap();
        let mut feed = db.watch(POLL).await.unwrap();
        let lost = db.begin().await.unwrap();
        lost.collection("things").insert_one(doc! { "_id": 1 }).await.unwrap();
        lost.abort().await.unwrap();
        let kept = db.begin().await.unwrap();
        kept.collection("things").insert_one(doc! { "_id": 2 }).await.unwrap();
        kept.commit().await.unwrap();
        // The embedded store does not tell how a document was written.
        let in_transaction = db.kind() == EngineKind::Mongo;
        let expected = Change::Document { collection: "things".into(), id: 2.into(), in_transaction };
        assert_eq!(feed.next().await.unwrap(), Some(expected));
    }

    async fn dropped_collection_is_an_unknown_change(db: Database) {
        let c = db.collection("things");
        c.insert_one(doc! { "_id": 0 }).await.unwrap();
        let mut feed = db.watch(POLL).await.unwrap();
        db.drop_collection("things").await.unwrap();
        assert_eq!(feed.next().await.unwrap(), Some(Change::Unknown));
        c.insert_one(doc! { "_id": 1 }).await.unwrap();
        while feed.next().await.unwrap() != Some(changed(1)) {}
    }

    async fn feed_ends_when_the_database_closes(db: Database) {
        let mut feed = db.watch(POLL).await.unwrap();
        let waiting = tokio::spawn(async move { while let Ok(Some(_)) = feed.next().await {} });
        db.close().await;
        waiting.await.unwrap();
    }
}
