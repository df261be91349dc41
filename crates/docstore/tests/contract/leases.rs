use std::time::Duration;

use docstore::{Database, Filter, Find, LeaseRequest};

fn request(owner: &str, ttl: Duration) -> LeaseRequest {
    LeaseRequest { collection: "_lock".into(), name: "migrations".into(), owner: owner.into(), ttl }
}

const LONG: Duration = Duration::from_mins(10);

testkit::stores! {
    async fn lease_has_one_holder_and_an_increasing_fence(db: Database) {
        assert_eq!(db.lease_holder("_lock", "migrations").await.unwrap(), None);
        let first = db.acquire_lease(request("$a", LONG)).await.unwrap().expect("free");
        let holder = db.acquire_lease(request("b", LONG)).await.unwrap().err().expect("taken");
        assert_eq!((holder.owner.as_str(), holder.fence), ("$a", first.fence()));
        assert!(holder.remaining > Duration::ZERO && holder.remaining <= LONG);
        assert_eq!(db.lease_holder("_lock", "migrations").await.unwrap().unwrap().owner, "$a");
        assert!(first.renew().await.unwrap());
        first.release().await.unwrap();
        assert_eq!(db.lease_holder("_lock", "migrations").await.unwrap(), None);
        assert!(!first.renew().await.unwrap());
        let second = db.acquire_lease(request("b", LONG)).await.unwrap().expect("free");
        assert!(second.fence() > first.fence());
        first.release().await.unwrap();
        assert!(second.renew().await.unwrap(), "an old holder cannot give back what it lost");
    }

    async fn expired_lease_can_be_acquired(db: Database) {
        let first = db.acquire_lease(request("a", Duration::ZERO)).await.unwrap().expect("free");
        let second = db.acquire_lease(request("b", LONG)).await.unwrap().expect("run out");
        assert!(second.fence() > first.fence());
        assert!(!first.renew().await.unwrap());
    }

    async fn repeated_request_keeps_the_lease(db: Database) {
        let first = db.acquire_lease(request("a", LONG)).await.unwrap().expect("free");
        let again = db.acquire_lease(request("a", LONG)).await.unwrap().expect("its own");
        assert!(again.fence() >= first.fence());
        assert!(again.renew().await.unwrap());
    }

    async fn one_of_many_concurrent_requests_wins(db: Database) {
        let tasks: Vec<_> = (0..8).map(|n| {
            let db = db.clone();
            tokio::spawn(async move { db.acquire_lease(request(&format!("owner {n}"), LONG)).await.unwrap().is_ok() })
        }).collect();
        let mut won = 0;
        for task in tasks {
            won += i32::from(task.await.unwrap());
        }
        assert_eq!(won, 1);
        let stored = db.collection("_lock").find_one(Find::new(Filter::All)).await.unwrap().unwrap();
        assert_eq!(stored.get_str("_id").unwrap(), "migrations");
        assert!(!stored.get_str("owner").unwrap().is_empty());
        assert_eq!(stored.get_i64("fence").unwrap(), 1);
        assert!(stored.get_datetime("expires_at").is_ok());
    }
}
