use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::program::{Program, Server};

/// File descriptors that are reserved for other uses of this process.
const OTHERS: u64 = 512;
const IDLE: u64 = 10_000;

async fn with_idle_seconds(seconds: &str) -> (Program, Server) {
    let program = Program::bare().with("ADMIN_EMAIL", "admin@example.com");
    let program = program.with("CONNECTION_IDLE_SECONDS", seconds);
    let server = program.serve().await;
    (program, server)
}

async fn connect(server: &Server) -> TcpStream {
    let address = server.base().strip_prefix("http://").expect("an address");
    TcpStream::connect(address).await.expect("a connection")
}

/// Reads until the connection ends or breaks.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut part = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = stream.read(&mut part).await {
        all.extend_from_slice(&part[..length]);
    }
    all
}

fn times(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[tokio::test]
async fn idle_connections_do_not_block_requests() {
    let allowed = rlimit::increase_nofile_limit(u64::MAX).expect("the limit can be raised");
    let many = IDLE.min(allowed.saturating_sub(OTHERS));
    let (_program, server) = with_idle_seconds("600").await;
    let before = server.resident_kib();
    let mut idle = Vec::new();
    for _ in 0..many {
        idle.push(connect(&server).await);
    }
    // All are accepted: a later connection is answered.
    let (status, body) = server.get("/sections").await;
    assert_eq!((status, &body["total"]), (200, &4.into()));
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < many * 16, "{many} connections take {grown} KiB");
    let mut last = idle.pop().expect("a connection");
    last.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .expect("it is open");
    let answer = rest(&mut last).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn connections_above_the_limit_wait() {
    let program = Program::bare().with("ADMIN_EMAIL", "admin@example.com").with("MAX_CONNECTIONS", "2");
    let program = program.with("CONNECTION_IDLE_SECONDS", "1");
    let server = program.serve().await;
    // The client holds one of the two connections, so these are accepted one at a time, when the previous one times out.
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let mut stream = connect(&server).await;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("it is sent");
        waiting.push(stream);
    }
    for stream in &mut waiting {
        assert!(rest(stream).await.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

#[tokio::test]
async fn incomplete_request_is_closed_when_idle() {
    let (_program, server) = with_idle_seconds("1").await;
    for sent in [&b""[..], b"G", b"PRI * HTTP/2.0\r\n", b"GET /sections HTTP/1.1\r\nHost: a\r\nX-Slow"] {
        let mut stream = connect(&server).await;
        stream.write_all(sent).await.expect("it is sent");
        assert_eq!(String::from_utf8_lossy(&rest(&mut stream).await), "", "{sent:?}");
    }
    // A connection that was used is closed when it becomes idle.
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /sections HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("it is sent");
    assert!(rest(&mut stream).await.starts_with(b"HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn client_that_stops_reading_is_disconnected() {
    let program =
        Program::bare().with("ADMIN_EMAIL", "admin@example.com").with("CONNECTION_IDLE_SECONDS", "1");
    let program = program.with("RUST_LOG", "info,field_notes::http::server=trace");
    let mut server = program.serve().await;
    let whole = server.look("/openapi.json").await.body.len();
    // More than the buffers of both ends can hold.
    let asked = 64 * 1024 * 1024 / whole;
    let mut stream = connect(&server).await;
    let request = "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n";
    stream.write_all(request.repeat(asked).as_bytes()).await.expect("requests are small");
    server.wait_for_output("error writing a body").await;
    let taken = rest(&mut stream).await.len();
    assert!(taken > whole && taken < asked * whole, "{taken} of {} were left to be taken", asked * whole);
    assert_eq!(server.get("/health").await.0, 200);
}

#[tokio::test]
async fn slow_reader_gets_the_whole_response() {
    let (_program, server) = with_idle_seconds("2").await;
    let whole = server.look("/openapi.json").await.body;
    let mut stream = connect(&server).await;
    stream
        .write_all(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .expect("it is sent");
    let mut taken = Vec::new();
    let mut part = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut part).await {
        taken.extend_from_slice(&part[..length]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(String::from_utf8_lossy(&taken).ends_with(&whole));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (_program, server) = with_idle_seconds("5").await;
    let mut stream = connect(&server).await;
    // Twice, so that the second round mixes cache hits and misses.
    let requests = concat!(
        "GET /sections HTTP/1.1\r\nHost: a\r\nX-Request-Id: one\r\n\r\n",
        "GET /stories/0 HTTP/1.1\r\nHost: a\r\nX-Request-Id: two\r\n\r\n",
        "HEAD /sections HTTP/1.1\r\nHost: a\r\nX-Request-Id: three\r\n\r\n",
        "POST /stories HTTP/1.1\r\nHost: a\r\nX-Request-Id: four\r\nContent-Length: 2\r\n\r\n{}",
        "GET /sections HTTP/1.1\r\nHost: a\r\nX-Request-Id: five\r\n\r\n",
    );
    let last = "GET /health HTTP/1.1\r\nHost: a\r\nX-Request-Id: last\r\nConnection: close\r\n\r\n";
    stream.write_all([requests, requests, last].concat().as_bytes()).await.expect("it is sent");
    let answers = String::from_utf8(rest(&mut stream).await).expect("text");
    let ids: Vec<_> = answers.lines().filter_map(|line| line.strip_prefix("x-request-id: ")).collect();
    let round = ["one", "two", "three", "four", "five"];
    assert_eq!(ids, [&round[..], &round[..], &["last"]].concat());
    assert_eq!((times(&answers, "HTTP/1.1 200 OK"), times(&answers, "HTTP/1.1 401")), (7, 4), "{answers}");
    assert_eq!(times(&answers, r#""total":4"#), 4, "the answer to HEAD has no body: {answers}");
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_served() {
    let (_program, server) = with_idle_seconds("5").await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    for path in ["/sections", "/sections", "/health"] {
        let answer = client.get(format!("{}{path}", server.base())).send().await.expect("an answer");
        assert_eq!((answer.version(), answer.status().as_u16()), (reqwest::Version::HTTP_2, 200));
    }
    let together = (0..50).map(|_| client.get(format!("{}/stories", server.base())).send());
    for answer in futures_util::future::join_all(together).await {
        assert_eq!(answer.expect("an answer").status(), 200);
    }
    // An upgrade request is answered in HTTP/1.1, which the standard allows.
    let mut stream = connect(&server).await;
    let upgrade = "GET /health HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).await.expect("it is sent");
    assert!(rest(&mut stream).await.starts_with(b"HTTP/1.1 200 OK\r\n"));
}

/// Returns an HTTP/2 preface with one setting, and a request for `/openapi.json`.
fn http_2_request(setting: u16, value: u32) -> Vec<u8> {
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS on stream 0.
    sent.extend([0, 0, 6, 4, 0, 0, 0, 0, 0]);
    sent.extend(setting.to_be_bytes());
    sent.extend(value.to_be_bytes());
    // GET and http from the static table; path and authority as literals.
    let mut fields = vec![0x82, 0x86, 0x04, 13];
    fields.extend(b"/openapi.json");
    fields.extend([0x01, 1, b'a']);
    // HEADERS on stream 1, with END_HEADERS and END_STREAM.
    sent.extend([0, 0, u8::try_from(fields.len()).expect("few"), 1, 0x5, 0, 0, 0, 1]);
    sent.extend(fields);
    sent
}

#[tokio::test]
async fn idle_or_unread_http2_connection_is_closed() {
    const INITIAL_WINDOW_SIZE: u16 = 4;
    let (_program, server) = with_idle_seconds("1").await;
    let whole = server.look("/openapi.json").await.body.len();
    for (window, least, most) in [(0, 1, 4096), (1 << 20, 60_000.min(whole), usize::MAX)] {
        let mut stream = connect(&server).await;
        stream.write_all(&http_2_request(INITIAL_WINDOW_SIZE, window)).await.expect("it is sent");
        let taken = rest(&mut stream).await.len();
        assert!((least..most).contains(&taken), "a window of {window}: {taken} bytes");
    }
    // An active client is not disconnected.
    let client = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    for _ in 0..6 {
        let answer = client.get(format!("{}/sections", server.base())).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test]
async fn slow_upload_does_not_block_reads() {
    let program = Program::bare()
        .with("ADMIN_EMAIL", "admin@example.com")
        .with("ALLOW_DEV_AUTH", "true")
        .with("MAX_CONCURRENT_REQUESTS", "1");
    let server = program.serve().await;
    let head =
        "POST /navlinks HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer dev-mock-admin\r\nConnection: close\r\n";
    let body = r#"{"label":"Slow","url":"/slow"}"#;
    let (first, second) = body.split_at(5);
    let mut slow = connect(&server).await;
    let sent = format!("{head}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n", body.len());
    slow.write_all(sent.as_bytes()).await.expect("it is sent");
    // From here on the body is waited for.
    let mut asked = [0; 25];
    slow.read_exact(&mut asked).await.expect("the body is asked for");
    slow.write_all(first.as_bytes()).await.expect("it is sent");
    // Distinct URLs are cache misses.
    for n in 0..20 {
        assert_eq!(server.get(&format!("/stories?offset={n}")).await.0, 200);
    }
    slow.write_all(second.as_bytes()).await.expect("it is sent");
    let answer = String::from_utf8(rest(&mut slow).await).expect("text");
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
}

#[tokio::test]
async fn cache_stays_within_its_limit_after_ten_thousand_queries() {
    let program = Program::bare().with("ADMIN_EMAIL", "admin@example.com").with("CACHE_MAX_BYTES", "1000000");
    let server = program.serve().await;
    let mut stream = connect(&server).await;
    for hundred in 0..100 {
        let ask = |n| format!("GET /sections?offset={} HTTP/1.1\r\nHost: a\r\n\r\n", 100 * hundred + n);
        let requests: String = (0..100).map(ask).collect();
        stream.write_all(requests.as_bytes()).await.expect("it is sent");
        let mut answers = String::new();
        let mut part = vec![0; 64 * 1024];
        while times(&answers, r#""total":4"#) < 100 {
            let length = stream.read(&mut part).await.expect("answers");
            assert!(length > 0, "{answers}");
            answers.push_str(std::str::from_utf8(&part[..length]).expect("text"));
        }
    }
    let rendered = server.get("/readyz?verbose=true").await.1["rendered"].clone();
    assert!(rendered["bytes"].as_u64().is_some_and(|bytes| 0 < bytes && bytes <= 1_000_000), "{rendered}");
    assert_eq!(rendered["loads"], 10_000, "{rendered}");
}
