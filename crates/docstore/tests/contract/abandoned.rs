use std::time::Duration;

use bson::doc;
use docstore::{Database, Filter, Find, Update};

/// Far more than the pool has connections.
const MANY: i32 = 400;
/// Deadline after which an operation counts as stuck.
const GIVE_UP: Duration = Duration::from_mins(1);

testkit::stores! {
    /// The driver's own queue would make the next operation wait behind all canceled ones.
    async fn canceled_operations_do_not_block_the_pool(db: Database) {
        let things = db.collection("things");
        things.insert_many((0..MANY).map(|n| doc! { "_id": n, "n": 0 }).collect()).await.unwrap();
        for round in 0..3 {
            let waiting: Vec<_> = (0..MANY)
                .map(|n| {
                    let things = things.clone();
                    tokio::spawn(async move {
                        match n % 4 {
                            0 => _ = things.count(&Filter::All).await,
                            1 => _ = things.update_one(&Filter::id(n), &Update::new().set("n", 1)).await,
                            _ => _ = things.find_one(Find::new(Filter::id(n))).await,
                        }
                    })
                })
                .collect();
            // They have started, and most of them wait.
            for _ in 0..=round {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            for one in &waiting {
                one.abort();
            }
            for _ in 0..3 {
                let answer = tokio::time::timeout(GIVE_UP, things.find_one(Find::new(Filter::id(1)))).await;
                assert!(answer.expect("an answer").unwrap().is_some());
            }
        }
    }
}
