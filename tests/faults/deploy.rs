use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::json;
use testkit::Target;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, block_in_place};
use tokio::time::sleep;

use crate::program::{Program, Server};
use crate::report::Row;
use crate::scale::rounds;
use crate::wire::{self, ADMIN, CLIENT, Connection};

const CLIENTS: usize = 8;
/// The longest pause of a client between two requests, well below the time for which a server announces its end.
const LONGEST_PAUSE: Duration = Duration::from_millis(40);
/// The interval in which the load balancer asks for readiness.
const HEALTH_INTERVAL: Duration = Duration::from_millis(100);
/// The length of a page of a list.
const PAGE: usize = 50;

/// The responses that a client saw.
#[derive(Default)]
struct Seen {
    answered: u64,
    /// Requests that were sent, or for which there was a connection, and that were not answered well.
    failed: Vec<String>,
    /// The titles of the stories that it created.
    created: BTreeSet<String>,
    last_answer: Option<Instant>,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.failed.extend(other.failed);
        self.created.extend(other.created);
        self.last_answer = self.last_answer.max(other.last_answer);
    }
}

/// Sends requests over kept-alive connections and repeats none of them, until it is stopped or connections are refused.
async fn client(address: SocketAddr, number: usize, stop: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    let mut kept = None;
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => match Connection::open(address, CLIENT, None).await {
                Ok(connection) => connection,
                // No request was accepted.
                Err(_) => break,
            },
        };
        let title = format!("story {number}-{n}");
        let story = json!({ "title": title, "content": "<p>text</p>", "is_published": n % 2 == 0 });
        let request = match n % 5 {
            0 => wire::write("POST", "/stories", &story),
            1 => wire::get("/stories?include_drafts=true&limit=5", Some(ADMIN)),
            2 => wire::get(&format!("/stories?limit=5&offset={}", fastrand::u8(..)), None),
            _ => wire::get("/sections", None),
        };
        match connection.exchange(&request).await {
            Ok(reply) if matches!(reply.status, 200 | 201) => {
                seen.answered += 1;
                seen.last_answer = Some(Instant::now());
                if reply.status == 201 {
                    seen.created.insert(title);
                }
                if !reply.closes() {
                    kept = Some(connection);
                }
            }
            Ok(reply) => seen.failed.push(format!("{}: {}", reply.head, reply.json())),
            Err(error) => seen.failed.push(format!("{request}: {error}")),
        }
        sleep(LONGEST_PAUSE.mul_f64(fastrand::f64())).await;
    }
    seen
}

/// Starts clients, which return what they saw.
fn start_clients(address: SocketAddr, stop: &Arc<AtomicBool>) -> JoinSet<Seen> {
    (0..CLIENTS).map(|number| client(address, number, Arc::clone(stop))).collect()
}

async fn join(clients: JoinSet<Seen>) -> Seen {
    let mut all = Seen::default();
    clients.join_all().await.into_iter().for_each(|seen| all.add(seen));
    all
}

/// Returns the titles of all stories.
async fn titles(server: &Server) -> Vec<String> {
    let mut titles = Vec::new();
    loop {
        let path = format!("/stories?include_drafts=true&limit={PAGE}&offset={}", titles.len());
        let (status, page) = server.get_as_admin(&path).await;
        assert_eq!(status, 200, "{page}");
        let items = page["items"].as_array().expect("a list");
        titles.extend(items.iter().map(|item| item["title"].as_str().expect("a title").to_owned()));
        if items.len() < PAGE {
            return titles;
        }
    }
}

/// Asserts that each acknowledged story is there once, and no other, and counts them.
async fn check(server: &Server, seen: &Seen, row: &mut Row) {
    let titles = titles(server).await;
    let unique: BTreeSet<String> = titles.iter().cloned().collect();
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    row.acknowledged += count(seen.created.len());
    row.lost += count(seen.created.difference(&unique).count());
    row.duplicates += count(titles.len() - unique.len());
    row.failed += count(seen.failed.len());
    row.write();
    assert_eq!((row.failed, &seen.failed), (0, &Vec::new()));
    assert_eq!(unique, seen.created);
    assert_eq!(titles.len(), unique.len());
}

/// A load balancer that passes each connection on to the next backend that is ready.
struct Balancer {
    address: SocketAddr,
    backends: Arc<Mutex<Vec<Backend>>>,
    tasks: JoinSet<()>,
}

#[derive(Clone, Copy)]
struct Backend {
    address: SocketAddr,
    is_ready: bool,
}

impl Balancer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let backends = Arc::<Mutex<Vec<Backend>>>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(pass_on(listener, Arc::clone(&backends)));
        tasks.spawn(watch(Arc::clone(&backends)));
        Self { address, backends, tasks }
    }

    /// Adds a backend that is ready.
    fn add(&self, address: SocketAddr) {
        self.backends.lock().push(Backend { address, is_ready: true });
    }

    fn remove(&self, address: SocketAddr) {
        self.backends.lock().retain(|backend| backend.address != address);
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.tasks.abort_all();
    }
}

async fn pass_on(listener: TcpListener, backends: Arc<Mutex<Vec<Backend>>>) {
    for turn in 0.. {
        let (mut client, _) = listener.accept().await.expect("a connection");
        let ready: Vec<_> = backends.lock().iter().filter(|backend| backend.is_ready).copied().collect();
        // A client whose connection is closed at once counts that as a failure, as does one whose backend refuses it.
        let Some(backend) = ready.get(turn % ready.len().max(1)).copied() else { continue };
        tokio::spawn(async move {
            if let Ok(mut server) = TcpStream::connect(backend.address).await {
                _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
                _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}

/// Takes backends out of the rotation while `/readyz` fails.
async fn watch(backends: Arc<Mutex<Vec<Backend>>>) {
    loop {
        let addresses: Vec<_> = backends.lock().iter().map(|backend| backend.address).collect();
        for address in addresses {
            let ready = async {
                let mut connection = Connection::open(address, CLIENT, None).await.ok()?;
                connection.exchange(&wire::get("/readyz", None)).await.ok()
            };
            let is_ready = ready.await.is_some_and(|reply| reply.status == 200);
            if let Some(backend) = backends.lock().iter_mut().find(|backend| backend.address == address) {
                backend.is_ready = is_ready;
            }
        }
        sleep(HEALTH_INTERVAL).await;
    }
}

fn program(target: &Target) -> Program {
    Program::on(target).with("RATE_LIMITS", "off").with("SHUTDOWN_DELAY_SECONDS", "1")
}

testkit::targets! {
    async fn shutdown_under_load_answers_what_it_accepted(target: Arc<Target>) {
        let test = format!("deploy::shutdown_under_load_answers_what_it_accepted::{}", target.engine().name());
        let mut row = Row::new(&test, &format!("SIGTERM under load, {}", target.engine().name()));
        let (mut all, mut exits) = (Seen::default(), Vec::new());
        let rounds = rounds(1, 20);
        for round in 0..rounds {
            // Without the delay, which is the default in development, the end comes with the signal.
            let program = if round % 2 == 0 { program(&target) } else { program(&target).with("SHUTDOWN_DELAY_SECONDS", "0") };
            let mut server = program.serve().await;
            let clients = start_clients(wire::address(&server), &Arc::default());
            sleep(Duration::from_millis(300 + fastrand::u64(..200))).await;
            server.signal("TERM");
            let code = block_in_place(|| server.wait());
            let exited = Instant::now();
            let mut seen = join(clients).await;
            assert_eq!(code, Some(0), "{}", server.output());
            exits.push(exited.saturating_duration_since(seen.last_answer.expect("an answer")).as_millis());
            // Titles are of one round.
            seen.created = seen.created.iter().map(|title| format!("{round} {title}")).collect();
            all.add(seen);
            row.rounds += 1;
        }
        exits.sort_unstable();
        row.note(format!("{} requests; exit after the last answer: median {} ms, at most {} ms", all.answered, exits[exits.len() / 2], exits[exits.len() - 1]));
        // The stories of all rounds have the same titles.
        let server = program(&target).serve().await;
        let found = titles(&server).await.len();
        row.acknowledged = u64::try_from(all.created.len()).unwrap_or(u64::MAX);
        row.lost = row.acknowledged.saturating_sub(u64::try_from(found).unwrap_or(u64::MAX));
        row.failed = u64::try_from(all.failed.len()).unwrap_or(u64::MAX);
        row.write();
        assert_eq!(all.failed, Vec::<String>::new());
        assert_eq!(found, all.created.len());
    }

    /// The second version is the same program with another configuration: no response cache, one thread, logs of JSON.
    async fn rolling_deployment_fails_no_request(target: Arc<Target>) {
        let test = format!("deploy::rolling_deployment_fails_no_request::{}", target.engine().name());
        let mut row = Row::new(&test, &format!("rolling deployment of two backends, {}", target.engine().name()));
        let versions = [
            program(&target),
            program(&target).with("CACHE_MAX_BYTES", "0").with("TOKIO_WORKER_THREADS", "1").with("LOG_FORMAT", "json"),
        ];
        let balancer = Balancer::start().await;
        let mut servers = std::collections::VecDeque::new();
        for _ in 0..2 {
            let server = versions[0].serve().await;
            balancer.add(wire::address(&server));
            servers.push_back(server);
        }
        let stop = Arc::<AtomicBool>::default();
        let clients = start_clients(balancer.address, &stop);
        for round in 0..rounds(1, 20) {
            let next = versions[usize::from(round / 2 % 2 == 0)].serve().await;
            balancer.add(wire::address(&next));
            servers.push_back(next);
            let mut oldest = servers.pop_front().expect("a server");
            oldest.signal("TERM");
            let code = block_in_place(|| oldest.wait());
            assert_eq!(code, Some(0), "{}", oldest.output());
            balancer.remove(wire::address(&oldest));
            row.rounds += 1;
        }
        stop.store(true, Ordering::Relaxed);
        let seen = join(clients).await;
        row.note(format!("{} requests of {CLIENTS} kept-alive clients that repeat nothing", seen.answered));
        check(&servers[0], &seen, &mut row).await;
    }
}
