//! In-process benchmarks without a socket: slugs, and a list served from the store or from the cache.
//!
//! Run by `make bench-micro`, never by the test suite; `make bench-micro ARGS=slug` filters by name.
//! JSON serialization is private to the HTTP layer, so it is measured through the router: `list/uncached` reads ten
//! stories from an embedded store and serializes them, `list/cached` serves the same response from the cache.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use bson::doc;
use bson::oid::ObjectId;
use criterion::{Criterion, criterion_group, criterion_main};
use docstore::{Database, sqlite};
use field_notes::clock::SystemClock;
use field_notes::config::Config;
use field_notes::domain::slugify;
use field_notes::http::{
    self, AppState, AppStateParts, CachedService, ConcurrencyLimit, Gate, MiddlewareState, ResponseCache,
};
use field_notes::{repository, startup};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn slugs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("slug");
    for (name, title) in [
        ("ascii", "What was seen by the river in the first week of October"),
        ("latin", "Über Straßen, Cafés und die Flüsse des Nordens"),
        ("han", "北京的秋天和河边的早晨"),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| slugify(black_box(title))));
    }
    group.finish();
}

fn lists(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let db = runtime.block_on(store(folder.path()));
    let mut group = criterion.benchmark_group("list");
    for (name, max_bytes, accepted) in
        [("uncached", "0", "identity"), ("cached", "100000000", "identity"), ("cached-br", "100000000", "br")]
    {
        let front = application(&db, max_bytes);
        // The first request fills the cache, the second one the encoded variant, which is created in the background.
        for _ in 0..2 {
            runtime.block_on(ask(&front, accepted));
            std::thread::sleep(Duration::from_millis(100));
        }
        group.bench_function(name, |bencher| bencher.iter(|| runtime.block_on(ask(&front, accepted))));
    }
    group.finish();
    runtime.block_on(db.close());
}

/// Creates a store with the program's indexes and ten stories of 5 kB each.
async fn store(folder: &Path) -> Database {
    let options = sqlite::Options { path: folder.join("store.db") };
    let db = sqlite::open(options).await.expect("a store");
    repository::ensure_all(&db).await.expect("indexes");
    let stories = (0..10).map(|n| {
        let at = bson::DateTime::from_millis(1_577_836_800_000 + n * 1000);
        doc! {
            "_id": ObjectId::new(), "title": format!("Story {n}"), "slug": format!("story-{n}"),
            "content": format!("<p>{}</p>", "The river was still. ".repeat(240)), "is_published": true, "date": at,
            "user_id": ObjectId::new().to_hex(), "section_id": ObjectId::new().to_hex(), "createdDate": at, "updatedDate": at,
            "version": 1_i64,
        }
    });
    db.collection("stories").insert_many(stories.collect()).await.expect("stories");
    db
}

fn application(db: &Database, max_bytes: &str) -> CachedService {
    let lookup = |name: &str| match name {
        "ADMIN_EMAIL" => Some("admin@example.com".to_owned()),
        "CACHE_MAX_BYTES" => Some(max_bytes.to_owned()),
        _ => None,
    };
    let config = Config::read(lookup).expect("a configuration");
    let gate = Arc::new(Gate::default());
    let clock = Arc::new(SystemClock);
    gate.open(startup::services(&config, db, Arc::clone(&clock) as _));
    http::router(AppState::from(AppStateParts {
        gate,
        clock,
        request_timeout: config.request_timeout,
        middleware: MiddlewareState::new(config.middleware),
        cache: Arc::new(ResponseCache::new(&config.cache)),
        concurrency: ConcurrencyLimit::new(config.max_concurrent),
    }))
}

async fn ask(front: &CachedService, accepted: &str) -> usize {
    let request = Request::get("/stories?limit=10").header(header::ACCEPT_ENCODING, accepted);
    let request = request.body(Body::empty()).expect("a request");
    let answer = front.clone().oneshot(request).await.expect("an answer");
    assert!(answer.status().is_success(), "the list is answered by {}", answer.status());
    to_bytes(answer.into_body(), usize::MAX).await.expect("a body").len()
}

criterion_group!(benches, slugs, lists);
criterion_main!(benches);
