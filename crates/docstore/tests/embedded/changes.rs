use std::time::Duration;

use docstore::bson::{Bson, doc};
use docstore::{Change, Filter, Update};

use super::Fixture;

/// Long enough that no poll happens in a test that does not wait for one.
const NEVER: Duration = Duration::from_hours(1);

fn change(id: i32) -> Change {
    Change::Document { collection: "c".into(), id: Bson::Int32(id), in_transaction: false }
}

#[tokio::test]
async fn changes_are_reported_after_commit() {
    let store = Fixture::new().await;
    let c = store.database.collection("c");
    c.insert_one(doc! { "_id": 0 }).await.unwrap();
    let mut feed = store.database.watch(NEVER).await.unwrap();
    c.insert_one(doc! { "_id": 1 }).await.unwrap();
    c.update_one(&Filter::id(1), &Update::new().set("a", 1)).await.unwrap();
    // Updates without effect and rolled back writes are not changes.
    c.update_one(&Filter::id(1), &Update::new().set("a", 1)).await.unwrap();
    let transaction = store.database.begin().await.unwrap();
    transaction.collection("c").insert_one(doc! { "_id": 2 }).await.unwrap();
    transaction.abort().await.unwrap();
    c.delete_one(&Filter::id(1)).await.unwrap();
    store.database.drop_collection("c").await.unwrap();

    assert_eq!(feed.next().await.unwrap(), Some(change(1)));
    assert_eq!(feed.next().await.unwrap(), Some(change(1)));
    assert_eq!(feed.next().await.unwrap(), Some(change(1)));
    assert_eq!(feed.next().await.unwrap(), Some(Change::Unknown));
    store.database.close().await;
    assert_eq!(feed.next().await.unwrap(), None);
}

#[tokio::test]
async fn writes_of_another_process_are_noticed() {
    let store = Fixture::new().await;
    let other = store.again().await;
    let mut feed = store.database.watch(Duration::from_millis(5)).await.unwrap();
    other.collection("c").insert_one(doc! { "_id": 1 }).await.unwrap();
    assert_eq!(feed.next().await.unwrap(), Some(Change::Unknown));
    // Own writes are not attributed to another process.
    store.database.collection("c").insert_one(doc! { "_id": 2 }).await.unwrap();
    assert_eq!(feed.next().await.unwrap(), Some(change(2)));
}

#[tokio::test]
async fn lagging_subscriber_gets_an_unknown_change() {
    let store = Fixture::new().await;
    let mut feed = store.database.watch(NEVER).await.unwrap();
    for part in 0..3 {
        let documents = (0..900).map(|n| doc! { "_id": part * 900 + n }).collect();
        store.database.collection("c").insert_many(documents).await.unwrap();
    }
    assert_eq!(feed.next().await.unwrap(), Some(Change::Unknown));
}
