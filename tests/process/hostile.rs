//! Clients that send too much, too slowly or something odd, over real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use wiremock::matchers::{path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::program::{Program, Server, read_one};

/// The address of a client other than the one of [`Server`].
const OTHER: [u8; 4] = [127, 0, 0, 2];

fn program() -> Program {
    Program::bare().with("ADMIN_EMAIL", "admin@example.com").with("ALLOW_DEV_AUTH", "true")
}

async fn connect_from(server: &Server, client: [u8; 4]) -> TcpStream {
    let address: SocketAddr = server.base().trim_start_matches("http://").parse().expect("an address");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((client, 0).into()).expect("an address of this machine");
    socket.connect(address).await.expect("a connection")
}

/// Sends something and returns all that is answered until the connection is closed.
async fn exchange(server: &Server, sent: impl AsRef<[u8]>) -> String {
    let mut stream = connect_from(server, OTHER).await;
    stream.write_all(sent.as_ref()).await.expect("it is sent");
    let mut answer = Vec::new();
    _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

async fn post_navlink(server: &Server) -> u16 {
    server.post_as_admin("/navlinks", &json!({ "label": "Fine", "url": "/fine" })).await.0
}

#[tokio::test]
async fn credentials_are_checked_before_the_body_arrives() {
    let program = program();
    let server = program.serve().await;
    let head = "POST /stories HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n";
    let mut waiting = Vec::new();
    for _ in 0..300 {
        let mut stream = connect_from(&server, OTHER).await;
        stream.write_all(format!("{head}\r\n{{").as_bytes()).await.expect("it is sent");
        waiting.push(stream);
    }
    for stream in &mut waiting {
        let answer = read_one(stream).await;
        assert!(matches!(status(&answer), "401" | "429"), "{answer}");
    }
    assert_eq!(post_navlink(&server).await, 201);
    let expecting = exchange(&server, format!("{head}Expect: 100-continue\r\n\r\n")).await;
    assert!(
        !expecting.contains("100 Continue") && matches!(status(&expecting), "401" | "429"),
        "{expecting}"
    );
    // A role that the route never admits is refused before the body, too.
    let commenter = format!("{head}Authorization: Bearer dev-mock-commenter\r\nExpect: 100-continue\r\n\r\n");
    let mut stream = connect_from(&server, [127, 0, 0, 4]).await;
    stream.write_all(commenter.as_bytes()).await.expect("it is sent");
    let refused = read_one(&mut stream).await;
    assert!(!refused.contains("100 Continue") && status(&refused) == "403", "{refused}");
    let admitted = head.replace("/stories", "/navlinks")
        + "Authorization: Bearer dev-mock-admin\r\nConnection: close\r\n";
    let mut stream = connect_from(&server, [127, 0, 0, 3]).await;
    stream.write_all(format!("{admitted}Expect: 100-continue\r\n\r\n").as_bytes()).await.expect("it is sent");
    let mut part = [0; 25];
    stream.read_exact(&mut part).await.expect("the body is asked for");
    assert_eq!(&part, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"[1, 2, 3]").await.expect("it is sent");
    assert_eq!(status(&read_one(&mut stream).await), "422");
}

#[tokio::test]
async fn slow_bodies_take_a_share_of_the_places_and_are_given_up() {
    let program = program().with("MAX_CONCURRENT_REQUESTS", "8");
    let server = program.serve().await;
    // The token is known from here on.
    assert_eq!(server.ask("/me", "dev-mock-author").await.status(), 200);
    let head = "POST /stories HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer dev-mock-author\r\nContent-Length: 9\r\n\r\n{";
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut stream = connect_from(&server, OTHER).await;
        stream.write_all(head.as_bytes()).await.expect("it is sent");
        slow.push(stream);
    }
    assert_eq!(post_navlink(&server).await, 201);
    let answers = join_all(slow.iter_mut().map(read_one)).await;
    let count = |wanted: &str| answers.iter().filter(|answer| status(answer) == wanted).count();
    assert_eq!((count("408"), count("503")), (2, 6), "{answers:?}");
}

#[tokio::test]
async fn refused_bodies_are_read_to_their_end() {
    let program = program();
    let server = program.serve().await;
    for (target, token, length, expected) in [
        ("POST /nothing", "", 3 << 20, "404"),
        ("POST /stories", "", 200_000, "401"),
        ("POST /stories", "Authorization: Bearer dev-mock-admin\r\n", 4 << 20, "413"),
        (
            "POST /stories",
            "Authorization: Bearer dev-mock-admin\r\nContent-Encoding: gzip\r\n",
            200_000,
            "415",
        ),
        // The head of a part that never ends.
        (
            "POST /uploads",
            "Authorization: Bearer dev-mock-admin\r\nContent-Type: multipart/form-data; boundary=x\r\n",
            30 << 20,
            "400",
        ),
        ("POST /uploads", "", 30 << 20, "401"),
        ("GET /sections", "", 200_000, "200"),
    ] {
        let mut stream = connect_from(&server, OTHER).await;
        let head = format!("{target} HTTP/1.1\r\nHost: a\r\n{token}Content-Length: {length}\r\n\r\n");
        // As Node does: everything is sent before the response is looked at.
        stream.write_all(head.as_bytes()).await.expect("the head is sent");
        let part = vec![b' '; 100_000];
        for _ in 0..length / part.len() {
            stream.write_all(&part).await.expect("the server reads on");
        }
        stream.write_all(&vec![b' '; length % 100_000]).await.expect("the server reads on");
        assert_eq!(status(&read_one(&mut stream).await), expected, "{target}");
        // The connection can be used again.
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("it is open");
        assert_eq!(status(&read_one(&mut stream).await), "200", "{target}");
    }
    // More than that is not waited for.
    let endless = "POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n ";
    assert_eq!(status(&exchange(&server, endless).await), "404");
}

#[tokio::test]
async fn odd_request_heads_are_refused_with_their_status() {
    let program = program();
    let server = program.serve().await;
    let ask = async |line: &str, headers: &str| {
        exchange(&server, format!("{line}\r\n{headers}Connection: close\r\n\r\n")).await
    };
    let token = "Authorization: Bearer dev-mock-admin\r\n";
    for (line, headers, expected) in [
        ("GET /sections HTTP/1.1", String::new(), "400"),
        ("GET /sections HTTP/1.1", "Host: a\r\nHost: b\r\n".to_owned(), "400"),
        ("GET /sections HTTP/1.1", "Host: a/b\r\n".to_owned(), "400"),
        ("GET /me HTTP/1.1", format!("Host: a\r\n{token}{token}"), "400"),
        ("GET /me HTTP/1.1", format!("Host: a\r\n{token}"), "200"),
        ("GET /sections HTTP/1.0", String::new(), "200"),
        ("GET /sections HTTP/1.1", "Host: a\r\nExpect: nonsense\r\n".to_owned(), "417"),
        (
            "POST /stories HTTP/1.1",
            format!("Host: a\r\n{token}Expect: 200-ok\r\nContent-Length: 2\r\n"),
            "417",
        ),
    ] {
        let answer = ask(line, &headers).await;
        assert_eq!(status(&answer), expected, "{line} {headers}: {answer}");
        assert!(answer.contains("x-request-id: "), "{answer}");
    }
    for length in [8 * 1024, 40_000, 60_000, 300_000] {
        let long = ask(&format!("GET /sections?x={} HTTP/1.1", "a".repeat(length)), "Host: a\r\n").await;
        assert_eq!(status(&long), "414", "{length}: {long}");
    }
    let fine = ask(&format!("GET /sections?x={} HTTP/1.1", "a".repeat(8000)), "Host: a\r\n").await;
    assert_eq!(status(&fine), "200");
    let large =
        ask("GET /sections HTTP/1.1", &format!("Host: a\r\nX-Large: {}\r\n", "a".repeat(300_000))).await;
    assert_eq!(status(&large), "431", "{large}");
}

/// A double of Google that knows the tokens that start with `good`.
async fn google() -> MockServer {
    let google = MockServer::start().await;
    for n in 0..20 {
        let info = json!({
            "aud": "ours", "sub": n.to_string(), "scope": "https://www.googleapis.com/auth/userinfo.email",
            "exp": "4102444800", "email": format!("good{n}@example.com"), "email_verified": "true",
        });
        Mock::given(path("/oauth2/v3/tokeninfo"))
            .and(query_param("access_token", format!("good{n}")))
            .respond_with(ResponseTemplate::new(200).set_body_json(info))
            .mount(&google)
            .await;
    }
    Mock::given(path("/oauth2/v3/tokeninfo")).respond_with(ResponseTemplate::new(400)).mount(&google).await;
    google
}

#[tokio::test]
async fn t14_thousand_bad_tokens_do_not_keep_others_from_signing_in() {
    let google = google().await;
    let program = program().with("GOOGLE_CLIENT_ID", "ours").with("GOOGLE_API_BASE", &google.uri());
    let server = program.serve().await;
    // Faster than a thousand in a minute, all from the address of those who sign in.
    for round in 0..20 {
        let bad =
            (0..50).map(|n| {
                let (server, token) = (&server, format!("bad{round}-{n}"));
                async move {
                    server.ask(if n % 2 == 0 { "/me" } else { "/sections" }, &token).await.status().as_u16()
                }
            });
        let sign_in = async { server.ask("/me", &format!("good{round}")).await.status().as_u16() };
        let (bad, good) = tokio::join!(join_all(bad), sign_in);
        assert_eq!(good, 200, "round {round}");
        let refused = bad.iter().filter(|status| !matches!(status, 401 | 200)).count();
        assert_eq!(refused, 0, "{bad:?}");
    }
    let asked = google.received_requests().await.expect("requests are recorded").len();
    // One that is known to be bad costs nothing more.
    for _ in 0..300 {
        assert_eq!(server.ask("/me", "bad0-0").await.status(), 401);
    }
    assert_eq!(google.received_requests().await.expect("requests are recorded").len(), asked);
}

#[tokio::test]
async fn t14_silent_issuer_of_tokens_delays_no_one_else() {
    // Connections are established, and nothing is answered.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", silent.local_addr().expect("an address"));
    let program = program().with("GOOGLE_CLIENT_ID", "ours").with("GOOGLE_API_BASE", &base);
    let program = program.with("MAX_CONCURRENT_REQUESTS", "8");
    let server = program.serve().await;
    let mut waiting = Vec::new();
    for n in 0..100 {
        let mut stream = connect_from(&server, OTHER).await;
        let request = format!("GET /me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer random{n}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it is sent");
        waiting.push(stream);
    }
    for n in 0..100 {
        assert_eq!(server.get(&format!("/sections?offset={n}")).await.0, 200);
    }
    assert_eq!(server.ask("/me", "dev-mock-author").await.status(), 200);
    assert_eq!(post_navlink(&server).await, 201);
    for answer in join_all(waiting.iter_mut().map(read_one)).await {
        assert_eq!(status(&answer), "503", "{answer}");
    }
    // After several failures in a row the issuer is left alone for a while.
    assert!(server.output().contains("pausing look-ups"), "{}", server.output());
    assert_eq!(server.ask("/me", "random").await.status(), 503);
}

/// Opens an HTTP/2 connection whose streams have a window of this size.
async fn http2(server: &Server, window: u32) -> h2::client::SendRequest<bytes::Bytes> {
    let stream = connect_from(server, OTHER).await;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window);
    let (client, connection) = builder.handshake(stream).await.expect("a connection");
    tokio::spawn(connection);
    client
}

async fn request(
    client: &mut h2::client::SendRequest<bytes::Bytes>,
    target: &str,
) -> Result<h2::client::ResponseFuture, h2::Error> {
    let request = axum::http::Request::get(format!("http://a{target}")).body(()).expect("a request");
    let mut ready = client.clone().ready().await?;
    let (response, _) = ready.send_request(request, true)?;
    Ok(response)
}

#[tokio::test]
async fn unread_responses_do_not_fill_the_memory() {
    let program = program().with("RESPONSES_MAX_BYTES", "20000000").with("RATE_LIMITS", "off");
    let server = program.serve().await;
    let long =
        json!({ "title": "Long", "content": format!("<p>{}</p>", "a".repeat(9000)), "is_published": true });
    for _ in 0..50 {
        assert_eq!(server.post_as_admin("/stories", &long).await.0, 201);
    }
    let before = server.resident_kib();
    let (mut clients, mut open) = (Vec::new(), Vec::new());
    let mut refused = 0;
    for n in 0..12 {
        let mut client = http2(&server, 0).await;
        for m in 0..32 {
            let offset = if m % 2 == 0 { 0 } else { m };
            let response =
                request(&mut client, &format!("/stories?limit=50&offset={offset}&z={n}-{m}")).await;
            let response = response.expect("it is sent").await.expect("a head");
            refused += usize::from(response.status() == 503);
            open.push(response);
        }
        assert_eq!(client.current_max_send_streams(), 32);
        clients.push(client);
    }
    assert_eq!(refused, 0, "there are few different responses");
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 100 * 1024, "{grown} KiB");
    assert_eq!(server.get("/sections").await.0, 200);
}

#[tokio::test]
async fn slow_reader_of_one_http2_stream_is_disconnected() {
    let program = program().with("CONNECTION_IDLE_SECONDS", "1");
    let server = program.serve().await;
    let mut client = http2(&server, 1).await;
    let response = request(&mut client, "/openapi.json").await.expect("it is sent").await.expect("a head");
    let mut body = response.into_body();
    // It takes a byte now and then, and keeps the connection busy.
    let ended = loop {
        match body.data().await {
            Some(Ok(data)) => _ = body.flow_control().release_capacity(data.len()),
            ended => break ended,
        }
        if let Ok(other) = request(&mut client, "/health").await {
            _ = other.await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(matches!(ended, Some(Err(_))), "it was disconnected");
}
