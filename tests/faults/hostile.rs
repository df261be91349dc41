use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::program::{Program, Server};
use crate::report::Row;
use crate::scale::{duration, is_full};
use crate::wire::{self, CLIENT, Connection};

/// The address of the attacker.
const ATTACKER: [u8; 4] = [127, 0, 0, 2];
/// The wanted bound of the memory of a server under attack, in KiB.
const MAX_MEMORY: u64 = 256 * 1024;

/// Rate limits are off, because they would weaken the attacks.
fn program() -> Program {
    rlimit::increase_nofile_limit(u64::MAX).expect("the limit can be raised");
    Program::bare()
        .with("ADMIN_EMAIL", "admin@example.com")
        .with("ALLOW_DEV_AUTH", "true")
        .with("RATE_LIMITS", "off")
        .with("LOG_REQUESTS", "off")
}

/// Returns the largest memory that a server has had, in KiB.
fn peak_kib(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}

/// Attacks that run until they are dropped.
struct Attack(JoinSet<()>);

impl Attack {
    /// Starts an attack as often as given. Each begins again when it ends.
    fn start<F: Future<Output = ()> + Send + 'static>(
        times: usize,
        attack: impl Fn(usize) -> F + Send + Sync + 'static,
    ) -> Self {
        let attack = Arc::new(attack);
        let mut tasks = JoinSet::new();
        for n in 0..times {
            let attack = Arc::clone(&attack);
            tasks.spawn(async move {
                loop {
                    attack(n).await;
                    // A port is not used again at once.
                    sleep(Duration::from_millis(100)).await;
                }
            });
        }
        Self(tasks)
    }

    async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

/// Sends requests one after the other over a kept-alive connection until the time is over. Returns the number of those that
/// were answered with success, and the other answers.
async fn ask_meanwhile(
    server: &Server,
    time: Duration,
    request: impl Fn(u64) -> String,
) -> (u64, Vec<String>) {
    let began = Instant::now();
    let mut connection = Connection::open(wire::address(server), CLIENT, None).await.expect("a connection");
    let (mut answered, mut refused) = (0, Vec::new());
    for n in 0.. {
        match connection.exchange(&request(n)).await.expect("an answer") {
            reply if matches!(reply.status, 200 | 201) => answered += 1,
            reply => refused.push(format!("{}{}", reply.head, reply.json())),
        }
        if began.elapsed() > time {
            break;
        }
        sleep(Duration::from_millis(2)).await;
    }
    (answered, refused)
}

fn count(all: &[String]) -> u64 {
    u64::try_from(all.len()).unwrap_or(u64::MAX)
}

/// Anonymous clients that send a byte of a body and no more: by 256 and 2,000 connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anonymous_slow_bodies_refuse_no_write_of_others() {
    let mut row = Row::new(
        "hostile::anonymous_slow_bodies_refuse_no_write_of_others",
        "anonymous slow bodies by 256 and by 2,000 connections, embedded",
    );
    let mut refusals = Vec::new();
    for connections in [256, 2000] {
        let program = program();
        let server = program.serve().await;
        let address = wire::address(&server);
        let attack = Attack::start(connections, move |_| async move {
            let Ok(mut connection) = Connection::open(address, ATTACKER, None).await else { return };
            let head = "POST /stories HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
            _ = connection.send(head).await;
            connection.closed().await;
        });
        let link = |n| {
            wire::write("POST", "/navlinks", &json!({ "label": format!("Link {n}"), "url": format!("/{n}") }))
        };
        let (written, refused) = ask_meanwhile(&server, duration(1, 30), link).await;
        attack.stop().await;
        row.rounds += 1;
        row.acknowledged += written;
        row.failed += count(&refused);
        row.note(format!("{connections} connections: {written} writes of others, {} refused", refused.len()));
        refusals.extend(refused);
    }
    row.write();
    assert_eq!(refusals, Vec::<String>::new());
}

/// Opens an HTTP/2 connection whose streams have no window, and asks as often as it is allowed to.
async fn unread_streams(address: std::net::SocketAddr, number: usize, streams: usize) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((ATTACKER, 0).into()).expect("an address of this machine");
    let Ok(stream) = socket.connect(address).await else { return };
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(0);
    let Ok((client, connection)) = builder.handshake::<_, bytes::Bytes>(stream).await else { return };
    let ask = async {
        let mut open = Vec::new();
        for n in 0..streams {
            let Ok(mut client) = client.clone().ready().await else { return };
            let target = format!("http://a/stories?limit=50&offset={}&z={number}-{n}", n % 40);
            let request = axum::http::Request::get(target).body(()).expect("a request");
            let Ok((response, _)) = client.send_request(request, true) else { return };
            open.push(response);
        }
        // They stay with the server.
        std::future::pending::<()>().await;
        drop(open);
    };
    tokio::select! {
        _ = connection => {}
        () = ask => {}
    }
}

/// Clients that ask for much and read nothing, and queries that differ in nothing that counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_responses_and_unknown_queries_take_bounded_memory() {
    let mut row = Row::new(
        "hostile::unread_responses_and_unknown_queries_take_bounded_memory",
        "responses that no one reads, unknown query keys, embedded",
    );
    let (clients, streams, readers, queries) =
        if is_full() { (24, 200, 3000, 20_000) } else { (6, 60, 300, 500) };
    let program = program();
    let server = program.serve().await;
    for n in 0..90 {
        let content = format!("<p>{}</p>", fastrand::alphanumeric().to_string().repeat(9000));
        let story = json!({ "title": format!("Story {n}"), "content": content, "is_published": true });
        assert_eq!(server.post_as_admin("/stories", &story).await.0, 201);
    }
    let address = wire::address(&server);
    let time = duration(1, 20);
    let read = |n: u64| wire::get(&format!("/sections?offset={n}"), None);
    let mut note = |attack: &str, (answered, refused): (u64, Vec<String>)| {
        let peak = peak_kib(&server);
        row.rounds += 1;
        row.failed += count(&refused);
        row.note(format!(
            "{attack}: peak {} MiB, reads of others {answered}, refused {}",
            peak / 1024,
            refused.len()
        ));
        assert!(peak <= MAX_MEMORY, "{attack}: {peak} KiB");
    };

    let attack = Attack::start(clients, move |n| unread_streams(address, n, streams));
    note(
        &format!("HTTP/2 windows of 0, {clients} × {streams} streams"),
        ask_meanwhile(&server, time, read).await,
    );
    attack.stop().await;

    let attack = Attack::start(readers, move |n| async move {
        let Ok(mut connection) = Connection::open(address, ATTACKER, Some(2048)).await else { return };
        let request = wire::get(&format!("/stories?limit=50&offset={}", n % 40), None);
        _ = connection.send(request.repeat(4)).await;
        std::future::pending::<()>().await;
    });
    note(&format!("{readers} HTTP/1.1 clients that do not read"), ask_meanwhile(&server, time, read).await);
    attack.stop().await;

    let mut connection = Connection::open(address, ATTACKER, None).await.expect("a connection");
    for n in 0..queries {
        assert_eq!(
            connection
                .exchange(&wire::get(&format!("/stories?limit=50&z{n}={n}"), None))
                .await
                .expect("an answer")
                .status,
            200
        );
    }
    note(&format!("{queries} unknown query keys"), ask_meanwhile(&server, time / 4, read).await);
    row.write();
}

/// An issuer of tokens that accepts connections and answers nothing, and 1,000 sign-ins per minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_issuer_refuses_no_anonymous_read() {
    const PER_MINUTE: u64 = 1000;
    let mut row = Row::new(
        "hostile::silent_issuer_refuses_no_anonymous_read",
        "silent Google, 1,000 sign-ins per minute, embedded",
    );
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", silent.local_addr().expect("an address"));
    let program = program().with("GOOGLE_CLIENT_ID", "ours").with("GOOGLE_API_BASE", &base);
    let server = program.serve().await;
    let address = wire::address(&server);
    let stop = Arc::new(AtomicBool::new(false));
    let sign_ins = tokio::spawn({
        let stop = Arc::clone(&stop);
        async move {
            let mut clients = JoinSet::new();
            for n in 0_u64.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                clients.spawn(async move {
                    // Of many clients, so that no share of one client bounds them.
                    let client = [127, 0, 1, u8::try_from(n % 200).unwrap_or(0) + 1];
                    let Ok(mut connection) = Connection::open(address, client, None).await else { return 0 };
                    let request = wire::get("/me", Some(&format!("random{n}")));
                    connection.exchange(&request).await.map_or(0, |reply| reply.status)
                });
                sleep(Duration::from_millis(60_000 / PER_MINUTE)).await;
            }
            clients.join_all().await
        }
    });
    let read = |n| wire::get(&format!("/stories?limit=5&offset={n}"), None);
    let (answered, refused) = ask_meanwhile(&server, duration(2, 60), read).await;
    stop.store(true, Ordering::Relaxed);
    let statuses = sign_ins.await.expect("it ends");
    row.rounds = 1;
    row.failed = count(&refused);
    row.note(format!("{} sign-ins, {answered} anonymous reads, {} refused", statuses.len(), refused.len()));
    row.write();
    assert!(statuses.iter().all(|status| *status == 503), "{statuses:?}");
    assert_eq!(refused, Vec::<String>::new());
}
