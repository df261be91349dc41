use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::Method;
use bson::{doc, oid::ObjectId};
use chrono::TimeDelta;
use docstore::{Database, Filter, Update};
use serde_json::json;

use super::{HIT, app};
use crate::support::{App, insert, section};

const READS: usize = 100_000;
const READERS: usize = 4;
const PATHS: [&str; 3] = ["/pages/about", "/sections/slug/counter", "/sections?limit=100"];

/// The number that an answer shows: the one title that is one.
fn number(body: &[u8]) -> u64 {
    let text = std::str::from_utf8(body).expect("text");
    let mut titles = text.split("\"title\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    titles.find_map(|title| title.parse().ok()).expect("a number")
}

/// Reads until enough was read; each read has to show the last write that was acknowledged before it was begun.
async fn read(app: App, acknowledged: Arc<[AtomicU64; 2]>, left: Arc<AtomicUsize>) -> (usize, usize) {
    let (mut stale, mut hits, mut turn) = (0, 0, 0);
    while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        let path = PATHS[turn % PATHS.len()];
        let least = acknowledged[usize::from(turn % PATHS.len() > 0)].load(Ordering::SeqCst);
        let answer = app.quick(path).await;
        assert_eq!(answer.status, 200, "{path}");
        hits += usize::from(answer.header("cache-status") == HIT);
        stale += usize::from(number(&answer.bytes) < least);
        turn += 1;
        if turn % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    (stale, hits)
}

testkit::stores! {
    /// 100,000 reads beside writes through the API and, below it, by one operation and in transactions.
    async fn every_read_shows_every_write_that_was_acknowledged_before_it(db: Database) {
        let app = app(&db).await;
        let page = |n: u64| json!({ "title": n.to_string(), "content": "<p>text</p>" });
        assert_eq!(app.put("admin", "/pages/about", &page(0)).await.status, 200);
        insert(&db, section("counter", doc! { "title": "0" })).await;
        let acknowledged: Arc<[AtomicU64; 2]> = Arc::default();
        let left = Arc::new(AtomicUsize::new(READS));
        let readers: Vec<_> = (0..READERS)
            .map(|_| tokio::spawn(read(app.clone(), Arc::clone(&acknowledged), Arc::clone(&left))))
            .collect();
        let mut n = 0;
        while left.load(Ordering::SeqCst) > 0 {
            n += 1;
            app.clock.advance(TimeDelta::seconds(1));
            let written = app.put("admin", "/pages/about", &page(n)).await;
            assert_eq!(written.status, 200);
            acknowledged[0].store(n, Ordering::SeqCst);
            let (counter, update) = (Filter::eq("slug", "counter"), Update::new().set("title", n.to_string()));
            if n % 2 == 0 {
                db.collection("sections").update_one(&counter, &update).await.unwrap();
            } else {
                let transaction = db.begin().await.unwrap();
                transaction.collection("sections").update_one(&counter, &update).await.unwrap();
                transaction.commit().await.unwrap();
            }
            acknowledged[1].store(n, Ordering::SeqCst);
            // So that what is rendered is read, too.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (mut stale, mut hits) = (0, 0);
        for reader in readers {
            let (its_stale, its_hits) = reader.await.unwrap();
            stale += its_stale;
            hits += its_hits;
        }
        assert_eq!(stale, 0, "of {READS} reads beside {n} writes");
        assert!(n > 20 && hits > READS / 10, "{hits} hits beside {n} writes");
    }

    async fn each_way_to_write_content_is_seen_by_the_next_read(db: Database) {
        let app = app(&db).await;
        let story = |title: &str| json!({ "title": title, "content": "<p>text</p>", "is_published": true });
        let seen = async |path: &str, what: &str| app.get(path).await.bytes.windows(what.len()).any(|w| w == what.as_bytes());
        assert!(!seen("/stories", "First").await);
        let created = app.create("admin", "/stories", &story("First")).await;
        assert!(seen("/stories", "First").await && seen("/stories/slug/first", "First").await);
        let path = format!("/stories/{}", created["id"].as_str().unwrap());
        assert_eq!(app.put("admin", &path, &story("Second")).await.status, 200);
        assert!(seen("/stories", "Second").await && !seen("/stories", "First").await);
        assert_eq!(app.get("/stories/slug/first").await.status, 301);
        assert_eq!(app.delete("admin", &path).await.status, 204);
        assert!(!seen("/stories", "Second").await);
        assert_eq!(app.get("/stories/slug/second").await.status, 404);
        let restore = format!("/trash/stories/{}/restore", created["id"].as_str().unwrap());
        assert_eq!(app.post("admin", &restore, &json!({})).await.status, 200);
        assert!(seen("/stories", "Second").await);
        let total = app.send(Method::HEAD, "/stories", &[]).await;
        assert_eq!(total.header("cache-status"), HIT);
        db.collection("stories").insert_one(doc! { "_id": ObjectId::new(), "title": "raw", "slug": "raw" }).await.unwrap();
        assert_ne!(app.send(Method::HEAD, "/stories", &[]).await.header("cache-status"), HIT);
    }
}
