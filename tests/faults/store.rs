use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use testkit::proxy::{Mode, Proxy};
use testkit::with_server_binary;

use crate::load::{Load, Plan, Verdict, client};
use crate::program::Server;
use crate::report::Row;
use crate::scale::{is_full, rounds};
use crate::servers::{Servers, Topology, program_on};

/// The longest time from the end of a fault to an acknowledged write.
const PATIENCE: Duration = Duration::from_mins(1);
/// After this time a client repeats a write that was not answered.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// The number of replies that are lost for each key.
const LOST_REPLIES: u64 = 20;

/// A fault of the store.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The process ends in order.
    Stopped,
    /// The process is frozen: it keeps its connections and does not answer.
    Paused,
    /// The way to it is disturbed.
    Network(Mode),
}

/// Each fault with its name in the table, and the time for which it lasts under `make test`.
const FAULTS: [(&str, Fault, Duration); 7] = [
    ("`mongod` stopped", Fault::Stopped, Duration::from_millis(500)),
    ("`mongod` paused", Fault::Paused, Duration::from_secs(1)),
    ("connections refused", Fault::Network(Mode::Refuse), Duration::from_secs(1)),
    ("network silent", Fault::Network(Mode::BlackHole), Duration::from_secs(1)),
    ("replies lost", Fault::Network(Mode::CutReplies), Duration::from_secs(1)),
    ("replies 2 s late", Fault::Network(Mode::DelayReplies(Duration::from_secs(2))), Duration::from_secs(3)),
    (
        "1 of 20 packets resets its connection",
        Fault::Network(Mode::Lossy { seed: 1, percent: 5 }),
        Duration::from_secs(1),
    ),
];

/// Waits until a write is acknowledged, as a client does that repeats what was not answered.
pub(crate) async fn probe(base: &str) {
    let (client, began) = (client(), Instant::now());
    let body = json!({ "title": "probe", "content": "<p>probe</p>", "is_published": true });
    loop {
        let request = client.post(format!("{base}/stories")).bearer_auth("dev-mock-admin").json(&body);
        if let Ok(response) = request.timeout(PROBE_TIMEOUT).send().await
            && response.status() == StatusCode::CREATED
        {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "no write is acknowledged after the fault");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Prints what the server logged about responses with status 500.
pub(crate) fn print_errors(verdict: &Verdict, server: &Server) {
    let log = server.output();
    for line in log.lines().filter(|line| !verdict.internal.is_empty() && line.contains("status=500")) {
        println!("{line}");
    }
}

/// Requests what was cached before a fault. Returns how long that took.
async fn read_from_cache(client: &Client, base: &str) -> Duration {
    let began = Instant::now();
    let response = client.get(format!("{base}/navlinks")).send().await.expect("an answer from the cache");
    assert_eq!(response.status(), 200, "cached content stays available");
    began.elapsed()
}

#[test]
fn outages() {
    with_server_binary(move |binary| async move {
        let mut servers = Servers::start(&binary, Topology::ReplicaSet).await;
        let proxies = Proxy::for_members(&[servers.set.nodes[0].host()]).expect("a proxy");
        let proxy = &proxies[0];
        for (nth, (name, fault, bounded)) in FAULTS.into_iter().enumerate() {
            let uri = format!("mongodb://{}/?replicaSet=rs0", proxy.host());
            let program = program_on(&uri).with("MONGO_DB_NAME", &format!("notes{nth}"));
            let server = program.serve().await;
            let base = server.base().to_owned();
            let mut row = Row::new("store::outages", &format!("{name}, replica set of one"));
            let load = Load::start(std::slice::from_ref(&base), Plan::default());
            let (reader, mut longest_read) = (client(), Duration::ZERO);
            for _ in 0..rounds(1, 20) {
                load.forget_success();
                load.first_success(PATIENCE).await.expect("a write is acknowledged");
                // So that it is cached.
                read_from_cache(&reader, &base).await;
                let held = if is_full() { bounded.mul_f64(1.0 + 4.0 * fastrand::f64()) } else { bounded };
                let node = &mut servers.set.nodes[0];
                match fault {
                    Fault::Stopped => node.stop().expect("the server stops"),
                    Fault::Paused => node.pause().expect("the server pauses"),
                    Fault::Network(mode) => proxy.set(mode),
                }
                let began = Instant::now();
                while began.elapsed() < held {
                    longest_read = longest_read.max(read_from_cache(&reader, &base).await);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                match fault {
                    Fault::Stopped => {
                        servers.set.nodes[0].restart().await.expect("the server starts again");
                        servers.primary().await;
                    }
                    Fault::Paused => node.resume().expect("the server goes on"),
                    Fault::Network(_) => proxy.set(Mode::Pass),
                }
                let back = Instant::now();
                probe(&base).await;
                row.add_recovery(back.elapsed());
                row.rounds += 1;
            }
            let (stale, unanswered, longest) = (load.stale(), load.unanswered(), load.longest());
            let verdict = load.check(&base).await;
            row.add(&verdict);
            row.note(format!("longest answer {} ms", longest.as_millis()));
            row.note(format!("cached read at most {} ms, {stale} stale", longest_read.as_millis()));
            row.note(format!("{} writes with an unknown outcome", verdict.unknown));
            row.write();
            print_errors(&verdict, &server);
            verdict.expect_sound();
            assert_eq!(unanswered, 0, "{name}: requests without an answer");
        }
    });
}

/// Creates of stories, each with a key of its own.
struct KeyedCreates {
    client: Client,
    /// The title of each story, and its key.
    keys: Vec<(String, String)>,
}

impl KeyedCreates {
    fn new(round: u64) -> Self {
        let key = |nth| (format!("story {round} {nth}"), uuid::Uuid::new_v4().to_string());
        Self { client: client(), keys: (0..8).map(key).collect() }
    }

    /// Sends all of them at once. Returns status and body of each response; `None` if there was none.
    async fn send(&self, base: &str) -> Vec<Option<(StatusCode, Value)>> {
        let send = async |(title, key): &(String, String)| {
            let body = json!({ "title": title, "content": "<p>once</p>", "is_published": true });
            let request =
                self.client.post(format!("{base}/stories")).bearer_auth("dev-mock-admin").json(&body);
            let response = request.header("idempotency-key", key).send().await.ok()?;
            let status = response.status();
            Some((status, response.json::<Value>().await.ok()?))
        };
        join_all(self.keys.iter().map(send)).await
    }
}

/// Repeats creates with one key each while replies are lost, of the server and of the store, and counts the items.
fn repeated_creates(name: &'static str, topology: Topology) {
    with_server_binary(move |binary| async move {
        let servers = Servers::start(&binary, topology).await;
        let store = Proxy::for_members(&[servers.set.nodes[0].host()]).expect("a proxy").remove(0);
        let set = if topology == Topology::Standalone { "" } else { "&replicaSet=rs0" };
        let uri = format!("mongodb://{}/?serverSelectionTimeoutMS=500{set}", store.host());
        let server = program_on(&uri).serve().await;
        let base = server.base().to_owned();
        let way = Proxy::to(base.trim_start_matches("http://")).expect("a proxy");
        let mut row = Row::new(name, &format!("replies to creates with one key lost, {}", topology.name()));
        let mut unknown = 0;
        for round in 0..rounds(1, 20) {
            let creates = KeyedCreates::new(round);
            let mut first: Vec<Option<Value>> = vec![None; creates.keys.len()];
            // Replies of the store are lost from a moment on, so that some are those to a write or to a commit.
            for _ in 0..3 {
                let cut = async {
                    tokio::time::sleep(Duration::from_millis(fastrand::u64(..30))).await;
                    store.set(Mode::CutReplies);
                };
                let (answers, ()) = tokio::join!(creates.send(&base), cut);
                for (answer, first) in answers.into_iter().zip(&mut first) {
                    let (status, body) = answer.expect("the server answers");
                    match status.as_u16() {
                        201 => _ = first.get_or_insert(body),
                        409 | 503 => {
                            row.failed += 1;
                            unknown += u64::from(body["outcome"] == "unknown");
                        }
                        _ => panic!("{status}: {body}"),
                    }
                }
                store.set(Mode::Pass);
                let back = Instant::now();
                probe(&base).await;
                row.add_recovery(back.elapsed());
            }
            way.set(Mode::CutReplies);
            for _ in 0..LOST_REPLIES {
                let answers = creates.send(&format!("http://{}", way.host())).await;
                assert!(answers.iter().all(Option::is_none), "the replies are lost: {answers:?}");
                row.failed += answers.len() as u64;
            }
            let mut ids = Vec::new();
            for (answer, first) in creates.send(&base).await.into_iter().zip(first) {
                let (status, body) = answer.expect("the server answers");
                assert_eq!(status, 201, "{body}");
                assert_eq!(first.unwrap_or_else(|| body.clone()), body, "the response is the first one");
                row.acknowledged += 1;
                ids.push(body["id"].clone());
            }
            let list = creates.client.get(format!("{base}/stories?limit=100&include_drafts=true"));
            let list = list.bearer_auth("dev-mock-admin").send().await.expect("an answer");
            let list: Value = list.json().await.expect("JSON");
            for ((title, _), id) in creates.keys.iter().zip(&ids) {
                let items = list["items"].as_array().expect("a list").iter();
                let found: Vec<_> =
                    items.filter(|item| item["title"] == **title).map(|item| &item["id"]).collect();
                row.lost += u64::from(!found.contains(&id));
                row.duplicates += (found.len() as u64).saturating_sub(1);
            }
            row.rounds += LOST_REPLIES;
        }
        row.note(format!("{unknown} outcomes that the server called unknown"));
        row.write();
        assert_eq!((row.lost, row.duplicates), (0, 0), "each create made one item");
    });
}

#[test]
fn repeated_creates_on_replica_set() {
    repeated_creates("store::repeated_creates_on_replica_set", Topology::ReplicaSet);
}

#[test]
fn repeated_creates_on_standalone() {
    repeated_creates("store::repeated_creates_on_standalone", Topology::Standalone);
}
