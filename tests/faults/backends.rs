use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use testkit::proxy::{Mode, Proxy};
use testkit::{Engine, Target};
use tokio::task::JoinSet;

use crate::load::{Load, Plan, client};
use crate::program::{Program, Server};
use crate::report::Row;
use crate::scale::{duration, rounds};

/// The longest time until a backend shows what another one wrote.
const PATIENCE: Duration = Duration::from_mins(1);
/// A `CACHE_MAX_AGE` at which no entry expires during a test.
const NEVER: &str = "86400";
/// Clients that read at a time, of all backends together.
const READERS: usize = 8;
/// Clock ticks of `/proc` in a second.
const TICKS: u64 = 100;
const LIST: &str = "/navlinks";

/// In the requests for further events of a change stream.
const NEXT_EVENTS: &str = "$cmd.aggregate";
/// In the request that opens a change stream.
const OPEN: &str = "$changeStream";

/// Starts backends on a store, the first of which migrates it.
async fn start(program: &Program, count: usize) -> Vec<Server> {
    let mut servers = vec![program.serve().await];
    servers.extend((1..count).map(|_| program.spawn()));
    for server in &mut servers {
        server.wait_until_ready().await;
    }
    servers
}

/// A link in the navigation, whose label each write changes.
struct Link {
    client: Client,
    path: String,
}

impl Link {
    async fn create(server: &Server) -> Self {
        let (status, link) = server.post_as_admin(LIST, &json!({ "label": "first", "url": "/" })).await;
        assert_eq!(status, 201, "{link}");
        Self { client: client(), path: format!("{LIST}/{}", link["id"].as_str().expect("an id")) }
    }

    /// Changes the label through this backend; returns once it has acknowledged that.
    async fn set_label(&self, server: &Server, label: &str) {
        let request = self.client.request(Method::PUT, format!("{}{}", server.base(), self.path));
        let request = request.bearer_auth("dev-mock-admin").json(&json!({ "label": label }));
        let response = request.send().await.expect("a response");
        assert_eq!(response.status(), 200);
    }
}

/// Reads the links until one has this label.
async fn until_shown(client: Client, base: String, label: String) {
    let began = Instant::now();
    loop {
        let response = client.get(format!("{base}{LIST}")).send().await.expect("a response");
        assert_eq!(response.status(), 200);
        if response.text().await.expect("a body").contains(&format!("\"{label}\"")) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{base} does not show {label}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Writes through each backend in turn, and returns the times from each acknowledgment until each of the others shows it.
async fn delays(servers: &[Server], rounds: u64) -> Vec<Duration> {
    let link = Link::create(&servers[0]).await;
    let clients: Vec<Client> = servers.iter().map(|_| client()).collect();
    let mut delays = Vec::new();
    for (round, writer) in (0..rounds).zip((0..servers.len()).cycle()) {
        let label = format!("round {round} of {}", servers.len());
        link.set_label(&servers[writer], &label).await;
        let acknowledged = Instant::now();
        let mut waiting = JoinSet::new();
        for (reader, server) in servers.iter().enumerate() {
            let shown = until_shown(clients[reader].clone(), server.base().to_owned(), label.clone());
            waiting.spawn(async move {
                shown.await;
                (reader, acknowledged.elapsed())
            });
        }
        let shown = waiting.join_all().await;
        delays.extend(shown.into_iter().filter(|(reader, _)| *reader != writer).map(|(_, delay)| delay));
        // Again, so that each has the response in its cache.
        for (reader, server) in servers.iter().enumerate() {
            until_shown(clients[reader].clone(), server.base().to_owned(), label.clone()).await;
        }
    }
    delays.sort_unstable();
    delays
}

/// Returns the smallest time that is not exceeded by this share of all, in percent, in milliseconds.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted[rank.saturating_sub(1)].as_secs_f64() * 1000.0
}

/// Returns the processor time that these backends have used, in ticks.
fn ticks(servers: &[Server]) -> u64 {
    let used = |server: &Server| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", server.id())).expect("the process is there");
        // The name of the program, in parentheses, may contain spaces.
        let fields = stat.rsplit_once(") ").expect("fields").1.split(' ');
        fields.skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum::<u64>()
    };
    servers.iter().map(used).sum()
}

/// Reads from all backends for a time; returns the reads in a second and those in a second of their processors.
async fn read_rates(servers: &[Server], path: &'static str, time: Duration) -> (u64, u64) {
    let (began, before) = (Instant::now(), ticks(servers));
    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        let url = format!("{}{path}", servers[reader % servers.len()].base());
        let client = client();
        readers.spawn(async move {
            let mut reads = 0_u64;
            while began.elapsed() < time {
                let response = client.get(&url).send().await.expect("a response");
                assert_eq!(response.status(), 200);
                response.bytes().await.expect("a body");
                reads += 1;
            }
            reads
        });
    }
    let reads: u64 = readers.join_all().await.into_iter().sum();
    let used = (ticks(servers) - before).max(1);
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    (reads * 1000 / milliseconds, reads * TICKS / used)
}

#[test]
fn four_backends_on_one_replica_set() {
    testkit::on(Engine::Mongo, |target| async move {
        let program = Program::on(&target).with("RATE_LIMITS", "off").with("CACHE_MAX_AGE", NEVER);
        let servers = start(&program, 4).await;
        let mut row =
            Row::new("backends::four_backends_on_one_replica_set", "writes through 4 backends, replica set");
        row.rounds = rounds(12, 200);
        for count in [2, 4] {
            let delays = delays(&servers[..count], row.rounds).await;
            row.note(format!(
                "{count} backends: a write is shown by the others after {:.1} ms p50, {:.1} ms p99",
                percentile(&delays, 50),
                percentile(&delays, 99)
            ));
        }
        for count in [1, 2, 4] {
            let (rate, per_processor) = read_rates(&servers[..count], LIST, duration(1, 10)).await;
            row.note(format!(
                "{count} backends: {rate} cached reads/s, {per_processor} per second of a processor"
            ));
        }
        let bases: Vec<String> = servers.iter().map(|server| server.base().to_owned()).collect();
        let load = Load::start(&bases, Plan { public_reads: false, ..Plan::default() });
        tokio::time::sleep(duration(2, 30)).await;
        let verdict = load.check(&bases[0]).await;
        row.add(&verdict);
        row.write();
        verdict.expect_sound();
        assert!(verdict.acknowledged > 0, "nothing was written");
    });
}

/// Requests until the cache of a backend answers in this way.
async fn until_cache_status(server: &Server, text: &str) {
    let began = Instant::now();
    loop {
        let response = server.look(LIST).await;
        if response.cache_status.contains(text) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "not {text}: {response:?}\n{}", server.output());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn backend_without_its_change_stream() {
    testkit::on(Engine::Mongo, |target| async move {
        let Target::Mongo { uri, .. } = &*target else { unreachable!("the engine is MongoDB") };
        let address = uri.trim_start_matches("mongodb://").split(['/', ',']).next().expect("a host");
        let proxy = Proxy::to(address).expect("a proxy");
        let program = || Program::on(&target).with("RATE_LIMITS", "off").with("CACHE_MAX_AGE", NEVER);
        let through_proxy = format!("mongodb://{}/?directConnection=true", proxy.host());
        let mut writer = program().serve().await;
        let expiring = program().with("MONGO_URI", &through_proxy).with("CACHE_MAX_AGE", "1").serve().await;
        let trusting = program().with("MONGO_URI", &through_proxy).serve().await;
        let link = Link::create(&writer).await;
        let mut row = Row::new(
            "backends::backend_without_its_change_stream",
            "the connection of a change stream is lost without a trace, replica set",
        );
        let shown = async |server: &Server, label: &str| {
            let began = Instant::now();
            until_shown(client(), server.base().to_owned(), label.to_owned()).await;
            began.elapsed()
        };
        let mut round = 0;
        let write = async |label: String| link.set_label(&writer, &label).await;
        for _ in 0..rounds(1, 20) {
            round += 1;
            let label = |text: &str| format!("{text} {round}");
            for server in [&expiring, &trusting] {
                until_cache_status(server, "hit").await;
            }

            // The stream is opened again after its silence.
            proxy.set(Mode::HoldRequests(&[NEXT_EVENTS]));
            write(label("silent")).await;
            row.add_recovery(shown(&trusting, &label("silent")).await);
            shown(&expiring, &label("silent")).await;

            // It cannot be opened: responses expire.
            proxy.set(Mode::HoldRequests(&[NEXT_EVENTS, OPEN]));
            write(label("closed")).await;
            row.add_recovery(shown(&expiring, &label("closed")).await);
            proxy.set(Mode::Pass);
            shown(&trusting, &label("closed")).await;

            // Nothing arrives: what is cached is marked as stale.
            for server in [&expiring, &trusting] {
                until_cache_status(server, "hit").await;
            }
            proxy.set(Mode::BlackHole);
            write(label("dark")).await;
            for server in [&expiring, &trusting] {
                until_cache_status(server, "detail=stale").await;
            }
            proxy.set(Mode::Pass);
            for server in [&expiring, &trusting] {
                shown(server, &label("dark")).await;
            }
            row.rounds += 3;
        }
        let verbose: Value = trusting.get("/readyz?verbose=true").await.1;
        assert_eq!(verbose["status"], "ready", "{verbose}");
        row.note("recovery is the time until the new content is shown".to_owned());
        row.write();
        writer.signal("TERM");
        assert_eq!(writer.wait(), Some(0));
        drop::<Arc<Target>>(target);
    });
}
