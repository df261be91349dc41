use std::time::Duration;

use docstore::bson::DateTime;
use docstore::{Filter, LeaseRequest, Update};

use super::Fixture;
use super::processes::{child, child_of, wait_for};

fn request(owner: &str) -> LeaseRequest {
    LeaseRequest {
        collection: "leases".into(),
        name: "migrate/all".into(),
        owner: owner.into(),
        ttl: Duration::from_hours(1),
    }
}

#[tokio::test]
async fn lease_is_held_until_released() {
    let store = Fixture::new().await;
    let other = store.again().await;
    assert_eq!(store.database.lease_holder("leases", "migrate/all").await.unwrap(), None);
    let lease = store.database.acquire_lease(request("a")).await.unwrap().unwrap();
    assert!(lease.fence() > 0);
    for database in [&store.database, &other] {
        let holder = database.acquire_lease(request("b")).await.unwrap().err().unwrap();
        assert_eq!((holder.owner.as_str(), holder.fence), ("a", lease.fence()));
        assert!(holder.remaining > Duration::from_mins(50));
    }
    assert!(lease.renew().await.unwrap());
    lease.release().await.unwrap();
    assert_eq!(other.lease_holder("leases", "migrate/all").await.unwrap(), None);
    assert!(!lease.renew().await.unwrap());

    let next = other.acquire_lease(request("b")).await.unwrap().unwrap();
    assert!(next.fence() > lease.fence());
    // A release by the former holder does not affect the new one.
    lease.release().await.unwrap();
    assert!(next.renew().await.unwrap());
}

#[tokio::test]
async fn expired_lease_is_taken_over() {
    let store = Fixture::new().await;
    let old = store.database.acquire_lease(request("a")).await.unwrap().unwrap();
    let past = Update::new().set("expires_at", DateTime::from_millis(0));
    store.database.collection("leases").update_one(&Filter::id("migrate/all"), &past).await.unwrap();
    let holder = store.database.lease_holder("leases", "migrate/all").await.unwrap().unwrap();
    assert_eq!((holder.owner.as_str(), holder.remaining), ("a", Duration::ZERO));

    // The former holder's process is alive and keeps its file lock; the new one holds the lease by the clock alone.
    let other = store.again().await;
    let new = other.acquire_lease(request("b")).await.unwrap().unwrap();
    assert!(new.fence() > old.fence());
    assert!(!old.renew().await.unwrap());
    let third = store.again().await.acquire_lease(request("c")).await.unwrap();
    assert_eq!(third.err().unwrap().owner, "b");
}

/// The child acquires the lease for an hour and is killed.
#[tokio::test]
async fn lease_of_a_dead_process_is_taken_over_at_once() {
    if let Some(database) = child().await {
        let lease = database.acquire_lease(request("child")).await.unwrap().unwrap();
        println!("ready {}", lease.fence());
        std::future::pending::<()>().await;
    }
    let store = Fixture::new().await;
    let mut child = child_of(&store, "leases::lease_of_a_dead_process_is_taken_over_at_once");
    wait_for(&mut child, "ready");
    let holder = store.database.acquire_lease(request("b")).await.unwrap().err().unwrap();
    assert_eq!(holder.owner, "child");
    child.kill().unwrap();
    child.wait().unwrap();
    let lease = store.database.acquire_lease(request("b")).await.unwrap().unwrap();
    assert!(lease.fence() > holder.fence);
}
