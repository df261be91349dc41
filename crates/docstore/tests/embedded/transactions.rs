use std::time::Duration;

use docstore::bson::doc;
use docstore::sqlite::{Options, Settings, open_with};
use docstore::{Error, Filter, Find, Index, Update};

use super::{Fixture, all};

#[tokio::test]
async fn writes_are_invisible_to_others_until_commit() {
    let store = Fixture::new().await;
    let outside = store.database.collection("c");
    outside.insert_one(doc! { "_id": 1, "n": 1 }).await.unwrap();

    let transaction = store.database.begin().await.unwrap();
    let inside = transaction.collection("c");
    inside.insert_one(doc! { "_id": 2, "n": 2 }).await.unwrap();
    inside.update_one(&Filter::id(1), &Update::new().set("n", 10)).await.unwrap();
    inside.delete_one(&Filter::id(9)).await.unwrap();
    assert_eq!(inside.count(&Filter::All).await.unwrap(), 2);
    let seen = inside.find_one(Find::new(Filter::eq("n", 10))).await.unwrap();
    assert_eq!(seen, Some(doc! { "_id": 1, "n": 10 }));

    // Concurrent readers continue and see committed data.
    let reads = (0..8).map(|_| all(&store.database, "c", Find::new(Filter::All)));
    for found in futures_util::future::join_all(reads).await {
        assert_eq!(found, [doc! { "_id": 1, "n": 1 }]);
    }
    // Another writer waits for the end of the transaction.
    let other = tokio::spawn({
        let outside = outside.clone();
        async move { outside.insert_one(doc! { "_id": 3 }).await }
    });
    transaction.commit().await.unwrap();
    other.await.unwrap().unwrap();
    let found = all(&store.database, "c", Find::new(Filter::All)).await;
    assert_eq!(found, [doc! { "_id": 1, "n": 10 }, doc! { "_id": 2, "n": 2 }, doc! { "_id": 3 }]);
}

#[tokio::test]
async fn dropped_or_aborted_transaction_leaves_nothing() {
    let store = Fixture::new().await;
    let transaction = store.database.begin().await.unwrap();
    let kept = transaction.collection("made");
    kept.insert_one(doc! { "_id": 1 }).await.unwrap();
    transaction.abort().await.unwrap();
    let late = kept.count(&Filter::All).await.unwrap_err();
    assert!(matches!(late, Error::TransactionEnded(_)), "{late}");

    let transaction = store.database.begin().await.unwrap();
    transaction.collection("made").insert_one(doc! { "_id": 1 }).await.unwrap();
    drop(transaction);
    // This write can only start once the other transaction is rolled back.
    store.database.collection("other").insert_one(doc! { "_id": 1 }).await.unwrap();
    assert_eq!(store.database.collection_names().await.unwrap(), ["other"]);
}

#[tokio::test]
async fn failed_operation_ends_transaction() {
    let store = Fixture::new().await;
    store.database.ensure_index("c", &Index::on(["a"]).unique()).await.unwrap();
    let transaction = store.database.begin().await.unwrap();
    let inside = transaction.collection("c");
    inside.insert_one(doc! { "_id": 1, "a": 1 }).await.unwrap();
    // An invalid request never reaches the transaction.
    assert!(matches!(inside.count(&Filter::eq("$a", 1)).await, Err(Error::Invalid(_))));
    let refused = inside.insert_one(doc! { "_id": 2, "a": 1 }).await.unwrap_err();
    assert_eq!(refused.duplicate_index(), Some("a_1"));
    let late = inside.insert_one(doc! { "_id": 3, "a": 3 }).await.unwrap_err();
    assert!(matches!(late, Error::TransactionEnded(_)), "{late}");
    let late = transaction.commit().await.unwrap_err();
    assert!(late.to_string().contains("a_1"), "{late}");
    assert_eq!(store.database.collection("c").count(&Filter::All).await.unwrap(), 0);
}

#[tokio::test]
async fn transaction_has_a_time_limit() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { path: folder.path().join("store.db") };
    let limits = Settings { transaction: Duration::from_millis(50), ..Settings::default() };
    let database = open_with(options, limits).await.unwrap();
    let transaction = database.begin().await.unwrap();
    let _ = transaction.collection("c").insert_one(doc! { "_id": 1 }).await;
    // Waits for the writer, which becomes free only because the transaction exceeds its time limit.
    database.collection("d").insert_one(doc! { "_id": 1 }).await.unwrap();
    let late = transaction.commit().await.unwrap_err();
    assert!(matches!(late, Error::TransactionEnded(_)), "{late}");
    assert_eq!(database.collection_names().await.unwrap(), ["d"]);
}

#[tokio::test]
async fn transaction_is_atomic() {
    let store = Fixture::new().await;
    let transaction = store.database.begin().await.unwrap();
    let c = transaction.collection("c");
    c.insert_many(vec![doc! { "_id": 1 }, doc! { "_id": 2 }]).await.unwrap();
    assert_eq!(c.count(&Filter::All).await.unwrap(), 2);
    assert_eq!(store.database.collection("c").count(&Filter::All).await.unwrap(), 0);
    transaction.commit().await.unwrap();
    let transaction = store.database.begin().await.unwrap();
    transaction.collection("c").delete_many(&Filter::All).await.unwrap();
    transaction.abort().await.unwrap();
    assert_eq!(store.database.collection("c").count(&Filter::All).await.unwrap(), 2);
}

#[tokio::test]
async fn concurrent_writes_are_all_kept() {
    let store = Fixture::new().await;
    let c = store.database.collection("c");
    c.insert_one(doc! { "_id": 0, "n": 0 }).await.unwrap();
    let update = Update::new().inc("n", 1);
    let filter = Filter::id(0);
    let writes = (1..=200).map(|i| {
        let (c, update, filter) = (c.clone(), &update, &filter);
        async move {
            if i % 50 == 0 {
                // A failed write does not affect concurrent ones.
                assert!(c.insert_one(doc! { "_id": 0 }).await.is_err());
            }
            c.update_one(filter, update).await.unwrap();
        }
    });
    futures_util::future::join_all(writes).await;
    assert_eq!(c.find_one(Find::new(Filter::id(0))).await.unwrap(), Some(doc! { "_id": 0, "n": 200 }));
}
