use std::sync::Arc;
use std::time::Duration;

use bson::Bson;
use chrono::TimeDelta;
use docstore::{Database, LeaseRequest};
use serde_json::{Value, json};
use testkit::Target;

use crate::sections_write::{field, inside, new, path};
use crate::support::{Answer, App};

/// So often it is tried, since it goes wrong only sometimes.
const ROUNDS: usize = 20;

/// Two applications with a connection each, like two processes: they have nothing in common but the store.
async fn two(target: &Target) -> ([App; 2], [Database; 2]) {
    let stores = [testkit::open!(target), testkit::open!(target)];
    ([App::on(&stores[0]).await, App::on(&stores[1]).await], stores)
}

async fn close(stores: [Database; 2]) {
    for store in stores {
        store.close().await;
    }
}

fn next_minute(apps: &[App; 2]) {
    for app in apps {
        app.clock.advance(TimeDelta::minutes(1));
    }
}

fn statuses(answers: &[Answer]) -> [u16; 2] {
    let mut statuses = [answers[0].status.as_u16(), answers[1].status.as_u16()];
    statuses.sort_unstable();
    statuses
}

async fn put_into(app: App, section: Value, parent: Value) -> Answer {
    app.put("author", &path(&section), &json!({ "parent_id": parent })).await
}

/// The lock as another process takes it.
fn lease(owner: &str, ttl: Duration) -> LeaseRequest {
    LeaseRequest { collection: "_content_lock".into(), name: "sections".into(), owner: owner.into(), ttl }
}

testkit::targets! {
    async fn regression_18_moves_at_once_in_two_processes_make_no_ring(target: Arc<Target>) {
        let (apps, stores) = two(&target).await;
        let [one, other] = &apps;
        let a = one.create("author", "/sections", &new("A")).await;
        let b = one.create("author", "/sections", &new("B")).await;
        for round in 0..ROUNDS {
            next_minute(&apps);
            let moves = [
                put_into(one.clone(), a.clone(), b["id"].clone()),
                put_into(other.clone(), b.clone(), a["id"].clone()),
            ];
            assert_eq!(statuses(&one.at_once(moves).await), [200, 422], "{round}");
            for section in [&a, &b] {
                assert_eq!(put_into(one.clone(), section.clone(), Value::Null).await.status, 200);
            }
        }
        let left = stores[0].lease_holder("_content_lock", "sections").await.unwrap();
        assert!(left.is_none(), "{left:?}");
        close(stores).await;
    }

    async fn regression_18_children_and_deletions_at_once_leave_no_orphan(target: Arc<Target>) {
        let (apps, stores) = two(&target).await;
        let [one, other] = &apps;
        for round in 0..ROUNDS {
            next_minute(&apps);
            let parent = one.create("author", "/sections", &new(&format!("Parent {round}"))).await;
            let make = {
                let (app, body) = (one.clone(), inside("Child", &parent));
                async move { app.post("author", "/sections", &body).await }
            };
            let delete = {
                let (app, path) = (other.clone(), path(&parent));
                async move { app.delete("author", &path).await }
            };
            let (created, deleted) = tokio::join!(tokio::spawn(make), tokio::spawn(delete));
            let answers = [created.unwrap(), deleted.unwrap()];
            let there = one.get(&path(&parent)).await.status;
            match statuses(&answers) {
                // The child was first, or the deletion.
                [201, 409] => assert_eq!(there, 200, "{round}"),
                [204, 422] => assert_eq!(there, 404, "{round}"),
                others => panic!("{round}: {others:?}"),
            }
        }
        close(stores).await;
    }

    async fn regression_18_a_move_waits_until_another_process_has_made_its_own(target: Arc<Target>) {
        let (apps, stores) = two(&target).await;
        let [one, _] = &apps;
        let a = one.create("author", "/sections", &new("A")).await;
        let b = one.create("author", "/sections", &new("B")).await;
        let held = stores[1].acquire_lease(lease("another", Duration::from_mins(1))).await.unwrap().unwrap();
        let moving = tokio::spawn(put_into(one.clone(), a.clone(), b["id"].clone()));
        // Others are not in its way, and what is refused anyway does not wait.
        assert_eq!(one.put("author", &path(&b), &json!({ "sort_order": 3 })).await.status, 200);
        assert_eq!(put_into(one.clone(), b.clone(), b["id"].clone()).await.status, 422);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(field(&stores[0], "sections", &a["id"], "parent_id").await, Some(Bson::Null));
        held.release().await.unwrap();
        assert_eq!(moving.await.unwrap().json()["parent_id"], b["id"]);
        close(stores).await;
    }

    async fn regression_18_who_died_while_moving_sections_stops_nobody_for_good(target: Arc<Target>) {
        let (apps, stores) = two(&target).await;
        let [one, _] = &apps;
        let a = one.create("author", "/sections", &new("A")).await;
        let b = one.create("author", "/sections", &new("B")).await;
        let dead = stores[1].acquire_lease(lease("dead", Duration::from_secs(2))).await.unwrap().unwrap();
        assert_eq!(put_into(one.clone(), a, b["id"].clone()).await.status, 200);
        assert!(!dead.renew().await.unwrap(), "its lease went to another");
        close(stores).await;
    }
}
