use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Target, locate};
use tokio::time::sleep;

use crate::load::{Load, Plan};
use crate::program::{Program, Server};
use crate::report::Row;
use crate::scale::rounds;
use crate::wire::{self, CLIENT, Connection};

/// The time under load with each clock.
const WORK: Duration = Duration::from_millis(600);
/// The clocks, by their distance from the true time: forward, back, further back, forward.
const CLOCKS: [&str; 4] = ["+3600s", TRUE, "-3600s", TRUE];
const TRUE: &str = "+0s";

/// A clock that a program sees instead of that of the system. Waiting times are those of the system.
struct SetClock {
    library: PathBuf,
    file: tempfile::NamedTempFile,
}

impl SetClock {
    /// Finds libfaketime. Without it the test does not run, which `CI=true` does not accept.
    fn find() -> Option<Self> {
        let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
        let library = folders.map(|folder| PathBuf::from(folder).join("faketime/libfaketimeMT.so.1"));
        let Some(library) = library.into_iter().find(|library| library.is_file()) else {
            assert!(!locate::is_ci(), "libfaketime is not installed, which CI=true requires");
            println!("not run: libfaketime is not installed");
            return None;
        };
        let clock = Self { library, file: tempfile::NamedTempFile::new().expect("a file") };
        clock.set(TRUE);
        Some(clock)
    }

    fn set(&self, distance: &str) {
        // Replaced as a whole, because the program reads it at any time.
        let next = self.file.path().with_extension("next");
        fs::write(&next, distance)
            .and_then(|()| fs::rename(&next, self.file.path()))
            .expect("the clock is set");
    }

    fn seen_by(&self, program: Program) -> Program {
        program
            .with("LD_PRELOAD", &self.library.display().to_string())
            .with("FAKETIME_TIMESTAMP_FILE", &self.file.path().display().to_string())
            .with("FAKETIME_NO_CACHE", "1")
            .with("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }
}

/// Returns the distance of a server's clock from that of this process, in seconds.
async fn distance(server: &Server) -> i64 {
    let (_, health) = server.get("/health").await;
    let timestamp = health["timestamp"].as_str().expect("a time");
    let seen = chrono::NaiveDateTime::parse_from_str(timestamp, "%Y-%m-%dT%H:%M:%S%.f").expect("a time");
    let now: chrono::DateTime<chrono::Utc> = std::time::SystemTime::now().into();
    (seen.and_utc() - now).num_seconds()
}

/// Walks through a list by its cursors and returns the ids.
async fn walk(server: &Server) -> Vec<String> {
    let client = crate::load::client();
    let (mut ids, mut next) = (Vec::new(), "/stories?limit=7&cursor=".to_owned());
    loop {
        let response = client.get(format!("{}{next}", server.base())).send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        let link = response.headers().get("link").and_then(|link| link.to_str().ok()).map(str::to_owned);
        let page: Value = response.json().await.expect("JSON");
        ids.extend(page["items"].as_array().expect("a list").iter().map(|item| item["id"].to_string()));
        let following =
            link.as_deref().unwrap_or_default().split(", ").find(|link| link.contains("rel=\"next\""));
        let Some(link) = following else { return ids };
        next = link.trim_start_matches('<').split('>').next().expect("an address").to_owned();
    }
}

/// Reorders the sections, which takes the lease of their tree.
async fn reorder(server: &Server) {
    let (_, sections) = server.get("/sections").await;
    let items = sections["items"].as_array().expect("a list");
    let order: Vec<Value> = items
        .iter()
        .rev()
        .enumerate()
        .map(|(position, item)| json!({ "id": item["id"], "sort_order": position }))
        .collect();
    let request = wire::write("PUT", "/sections/order", &json!(order));
    let mut connection = Connection::open(wire::address(server), CLIENT, None).await.expect("a connection");
    let reply = connection.exchange(&request).await.expect("an answer");
    assert_eq!(reply.status, 204, "{}", reply.json());
}

testkit::targets! {
    async fn set_clock_loses_nothing_and_blocks_no_one(target: Arc<Target>) {
        let Some(clock) = SetClock::find() else { return };
        let engine = target.engine().name();
        let test = format!("clock::set_clock_loses_nothing_and_blocks_no_one::{engine}");
        let mut row = Row::new(&test, &format!("clock of the server an hour forward and back (libfaketime), {engine}"));
        let program = clock.seen_by(Program::on(&target).with("RATE_LIMITS", "off"));
        let server = program.serve().await;
        let limited = clock.seen_by(Program::on(&target)).serve().await;
        let mut load = Load::start(&[server.base().to_owned()], Plan::default());
        let link = json!({ "label": "Link", "url": "/link" });
        for _ in 0..rounds(1, 20) {
            for set in CLOCKS {
                clock.set(set);
                let wanted: i64 = set.trim_end_matches('s').parse().expect("a number");
                assert!((distance(&server).await - wanted).abs() < 60, "the clock of the server is not {set}");
                reorder(&server).await;
                // A client that has reached its limit gets a new one, in whichever direction the clock moves.
                assert_eq!(limited.post_as_admin("/navlinks", &link).await.0, 201, "{set}");
                while limited.post_as_admin("/navlinks", &link).await.0 != 429 {}
                sleep(WORK).await;
            }
            row.rounds += 1;
        }
        load.pause().await;
        let ids = walk(&server).await;
        let unique: std::collections::BTreeSet<_> = ids.iter().collect();
        let (_, all) = server.get("/stories?limit=1").await;
        assert_eq!((unique.len(), json!(ids.len())), (ids.len(), all["total"].clone()));
        let verdict = load.check(server.base()).await;
        row.add(&verdict);
        row.note(format!("{} requests checked", verdict.requests));
        row.write();
        verdict.expect_sound();
        assert_eq!(verdict.failed, 0, "{}", server.output());
    }
}
