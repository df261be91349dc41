//! Shutdown, signals and the log.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::program::{Program, Server, read_one};

/// A time in seconds that a test does not wait for: it fails as hung.
const FOR_EVER: &str = "3600";

fn program() -> Program {
    Program::bare().with("ADMIN_EMAIL", "admin@example.com").with("ALLOW_DEV_AUTH", "true")
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.base().trim_start_matches("http://")).await.expect("a connection")
}

/// Sends a request and reads its response, which has a body of JSON. Leaves the connection open.
async fn get(stream: &mut TcpStream, path: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.expect("it is sent");
    read_one(stream).await
}

/// Begins a request whose body is not complete yet.
async fn begin_upload(server: &Server) -> TcpStream {
    let mut upload = connect(server).await;
    let head = "POST /navlinks HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer dev-mock-admin\r\nExpect: 100-continue\r\n";
    upload.write_all(format!("{head}Content-Length: 27\r\n\r\n").as_bytes()).await.expect("it is sent");
    let mut part = [0; 25];
    upload.read_exact(&mut part).await.expect("the body is asked for");
    upload
}

#[tokio::test]
async fn shutdown_fails_readiness_then_drains() {
    let program = program().with("SHUTDOWN_DELAY_SECONDS", "2").with("SHUTDOWN_GRACE_SECONDS", FOR_EVER);
    let mut server = program.serve().await;
    let (mut kept, mut half) = (connect(&server).await, connect(&server).await);
    assert!(get(&mut kept, "/sections").await.starts_with("HTTP/1.1 200 "));
    half.write_all(b"GET /sections HTTP/1.1\r\nHost: a\r\nX-Ha").await.expect("it is sent");
    let mut upload = begin_upload(&server).await;

    server.signal("TERM");
    let draining = server.wait_for_readyz_after_start(|body| body["status"] == "draining").await;
    assert_eq!(draining["status"], "draining");
    // For a while nothing else changes, for new connections either.
    let answer = get(&mut kept, "/sections").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("connection: close"), "{answer}");
    assert_eq!(server.get("/sections").await.0, 200);
    server.wait_for_output("SHUTDOWN_GRACE_SECONDS").await;
    // Then clients are asked to close their connections.
    loop {
        let answer = get(&mut kept, "/sections").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        if answer.contains("connection: close") {
            break;
        }
    }
    server.wait_for_output("waiting for open connections").await;
    assert!(TcpStream::connect(server.base().trim_start_matches("http://")).await.is_err());
    // A request in progress is completed, half a head is not waited for.
    upload.write_all(br#"{"label":"Late","url":"/l"}"#).await.expect("it is sent");
    let mut answer = String::new();
    upload.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201 ") && answer.contains("connection: close"), "{answer}");
    assert_eq!(server.wait(), Some(0));
    assert!(server.output().contains("stopped"), "{}", server.output());
}

#[tokio::test]
async fn connections_in_the_queue_are_served_by_a_server_that_stops() {
    let program = program().with("MAX_CONNECTIONS", "1").with("SHUTDOWN_GRACE_SECONDS", FOR_EVER);
    let mut server = program.spawn();
    server.wait_for_output("serving").await;
    let mut first = connect(&server).await;
    assert!(get(&mut first, "/sections").await.starts_with("HTTP/1.1 200 "));
    let mut waiting = connect(&server).await;
    waiting.write_all(b"GET /sections HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("it is sent");
    server.signal("TERM");
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(server.wait(), Some(0));
}

#[tokio::test]
async fn second_signal_exits_at_once() {
    for signal in ["TERM", "INT", "HUP"] {
        let program = program().with("SHUTDOWN_GRACE_SECONDS", FOR_EVER);
        let mut server = program.serve().await;
        let _upload = begin_upload(&server).await;
        server.signal(signal);
        server.wait_for_output("waiting for open connections").await;
        server.signal(signal);
        assert_eq!(server.wait(), Some(130), "{signal}: {}", server.output());
    }
}

#[tokio::test]
async fn hangup_drains_like_other_signals() {
    let program = program();
    let mut server = program.serve().await;
    server.signal("HUP");
    assert_eq!(server.wait(), Some(0), "{}", server.output());
}

#[tokio::test]
async fn signal_does_not_wait_for_a_store_that_is_not_found() {
    // Accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let uri = format!("mongodb://{}/notes", silent.local_addr().expect("an address"));
    let program = Program::bare().with("ADMIN_EMAIL", "admin@example.com").with("MONGO_URI", &uri);
    let mut server = program.spawn();
    server.wait_for_readyz(|body| body["phase"] == "opening the store").await;
    server.signal("INT");
    assert_eq!(server.wait(), Some(0), "{}", server.output());
    assert!(
        !server.output().contains("phase completed"),
        "the phase was not waited for: {}",
        server.output()
    );
}

#[tokio::test]
async fn log_that_cannot_be_written_does_not_stop_the_server() {
    let program = program().with_error_output("/dev/full");
    let mut server = program.serve().await;
    for _ in 0..3 {
        assert_eq!(server.get("/sections").await.0, 200);
        assert_eq!(server.get("/nothing").await.0, 404);
    }
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
}

/// Returns the lines of requests in a log of JSON.
fn requests(server: &Server) -> Vec<Value> {
    let output = server.output();
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == "request completed").collect()
}

#[tokio::test]
async fn each_request_has_a_line_in_the_log() {
    let program = program().with("LOG_FORMAT", "json");
    let mut server = program.serve().await;
    for _ in 0..2 {
        assert_eq!(server.get("/sections?limit=1").await.0, 200);
    }
    let (_, me) = server.get_as_admin("/me").await;
    server.wait_for_output("\"path\":\"/me\"").await;
    let lines = requests(&server);
    let of = |path: &str| {
        let lines: Vec<_> = lines.iter().filter(|line| line["spans"][0]["path"] == path).cloned().collect();
        lines
    };
    assert_eq!((of("/sections").len(), of("/me").len()), (2, 1), "{lines:?}");
    for line in &lines {
        assert!(
            line["status"].is_u64() && line["duration_ms"].is_u64() && line.get("span").is_none(),
            "{line}"
        );
        assert!(line["spans"][0]["client"].is_string() && line["spans"][0]["method"].is_string(), "{line}");
        assert_eq!(line["level"], "INFO");
    }
    assert_eq!(of("/me")[0]["spans"][0]["caller"], me["id"]);
    assert_eq!(of("/me")[0]["spans"][0]["client"], "127.0.0.1");
    // Every duration is a number.
    for line in server.output().lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        assert!(line.get("duration_ms").is_none_or(Value::is_u64), "{line}");
    }
    let quiet_program = self::program().with("LOG_FORMAT", "json").with("LOG_REQUESTS", "off");
    let silent = quiet_program.serve().await;
    assert_eq!(silent.get("/sections").await.0, 200);
    assert_eq!(requests(&silent), Vec::<Value>::new());
}

#[tokio::test]
async fn development_tokens_on_a_public_address_are_refused_or_warned_about() {
    let result = program().with("HOST", "0.0.0.0").with("PORT", "0").run(&["serve"]).expect(2);
    assert!(
        result.stderr.contains("ALLOW_DEV_AUTH") && result.stderr.contains("insecure"),
        "{}",
        result.stderr
    );
    let program = program().with("HOST", "0.0.0.0").with("ALLOW_DEV_AUTH", "insecure");
    let server = program.serve().await;
    assert_eq!(server.get_as_admin("/me").await.0, 200);
    assert!(server.output().contains("WARN") && server.output().contains("development tokens are accepted"));
}

#[tokio::test]
async fn shutdown_under_load_loses_no_request() {
    let program = program().with("SHUTDOWN_DELAY_SECONDS", "1");
    let mut server = program.serve().await;
    let client = reqwest::Client::new();
    let (base, lost) =
        (server.base().to_owned(), std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let load: Vec<_> = (0..8)
        .map(|_| {
            let (client, url, lost) = (client.clone(), format!("{base}/sections"), lost.clone());
            tokio::spawn(async move {
                let mut answered = 0_usize;
                loop {
                    match client.get(&url).send().await {
                        Ok(answer) if answer.status() == 200 => answered += 1,
                        // From here on new connections are refused.
                        Err(error) if error.is_connect() => return answered,
                        _ => _ = lost.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.signal("TERM");
    for task in load {
        assert!(task.await.expect("it ends") > 0);
    }
    assert_eq!(server.wait(), Some(0));
    assert_eq!(lost.load(std::sync::atomic::Ordering::Relaxed), 0, "{}", server.output());
}
