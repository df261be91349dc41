use std::fs;
use std::sync::Arc;

use docstore::bson::doc;
use testkit::Target;

use crate::load::{Load, Plan};
use crate::program::{Program, Server};
use crate::report::Row;
use crate::scale::duration;

/// The number of parts of the time; after each, the state is compared.
const PARTS: u32 = 4;
/// The size of the cache: small, so that it is full early and its growth is not taken for a leak.
const CACHE_BYTES: u64 = 16 << 20;
/// The memory that a server may gain after the first part, in KiB: the cache, and pages that the allocator keeps.
const MAX_GROWTH: u64 = 64 * 1024;
/// The files that a server may have open in addition after the first part: connections that are not closed yet.
const MAX_FILES: usize = 8;
const PAGE: usize = 50;

fn open_files(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.id())).expect("the process is there").count()
}

/// Compares the responses of the cache with those of a server without one.
async fn compare(cached: &Server, uncached: &Server) -> usize {
    let (status, all) = uncached.get("/stories?limit=1").await;
    assert_eq!(status, 200, "{all}");
    let total = usize::try_from(all["total"].as_u64().expect("a total")).expect("a small number");
    let mut paths: Vec<_> = ["/sections", "/navlinks", "/projects"].map(str::to_owned).to_vec();
    // The newest and the oldest.
    let offsets = (0..4).map(|page| page * PAGE).chain([total.saturating_sub(PAGE)]);
    paths.extend(offsets.map(|offset| format!("/stories?limit={PAGE}&offset={offset}")));
    let (_, newest) = uncached.get(&format!("/stories?limit={PAGE}")).await;
    let items = newest["items"].as_array().expect("a list");
    paths
        .extend(items.iter().map(|item| format!("/stories/slug/{}", item["slug"].as_str().expect("a slug"))));
    for path in &paths {
        let (shown, stored) = (cached.look(path).await, uncached.look(path).await);
        assert_eq!((shown.status, &shown.body), (stored.status, &stored.body), "{path}: {shown:?}");
        let again = cached.look(path).await;
        assert_eq!(again.body, stored.body, "{path}: {again:?}");
    }
    paths.len()
}

/// Asserts that each index has the entries of the documents, and no others.
async fn check_indexes(target: &Target, program: &Program) {
    match target {
        // A start with a full check compares every document with its index entries.
        Target::Embedded { .. } => drop(program.serve().await),
        Target::Mongo { uri, database } => {
            let client = mongodb::Client::with_uri_str(uri).await.expect("a client");
            let database = client.database(database);
            for name in ["stories", "slug_history", "idempotency_keys", "users"] {
                let checked =
                    database.run_command(doc! { "validate": name, "full": true }).await.expect("an answer");
                assert!(checked.get_bool("valid").is_ok_and(|valid| valid), "{name}: {checked}");
            }
        }
    }
}

testkit::targets! {
    async fn long_work_leaks_nothing_and_the_cache_equals_the_store(target: Arc<Target>) {
        let engine = target.engine().name();
        let test = format!("soak::long_work_leaks_nothing_and_the_cache_equals_the_store::{engine}");
        let mut row = Row::new(&test, &format!("reads and writes for a long time, {engine}"));
        let program = Program::on(&target).with("RATE_LIMITS", "off").with("CACHE_MAX_BYTES", &CACHE_BYTES.to_string());
        let other = Program::on(&target).with("CACHE_MAX_BYTES", "0").with("STORE_CHECK", "full");
        let server = program.serve().await;
        let time = duration(2, 600);
        let plan = Plan { pause: std::time::Duration::from_millis(10), ..Plan::default() };
        let mut load = Load::start(&[server.base().to_owned()], plan);
        let mut figures = Vec::new();
        let mut compared = 0;
        for part in 0..PARTS {
            if part > 0 {
                load.resume();
            }
            tokio::time::sleep(time / PARTS).await;
            load.pause().await;
            figures.push((server.resident_kib(), open_files(&server)));
            // Only the last comparison of a short run, because each starts a server.
            if time.as_secs() > 60 || part + 1 == PARTS {
                let uncached = other.serve().await;
                compared += compare(&server, &uncached).await;
            }
        }
        check_indexes(&target, &other).await;
        let ((memory, files), (memory_after, files_after)) = (figures[0], figures[figures.len() - 1]);
        let verdict = load.check(server.base()).await;
        row.add(&verdict);
        row.rounds = 1;
        row.note(format!(
            "{} s; {} requests checked; {compared} responses of the cache equal the store; memory {} → {} MiB; open files {files} → {files_after}",
            time.as_secs(), verdict.requests, memory / 1024, memory_after / 1024,
        ));
        row.write();
        verdict.expect_sound();
        assert_eq!(verdict.failed, 0, "{}", server.output());
        assert!(memory_after <= memory + MAX_GROWTH, "{figures:?}");
        assert!(files_after <= files + MAX_FILES, "{figures:?}");
    }
}
