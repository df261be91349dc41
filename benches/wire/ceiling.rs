//! What a subject is compared with: bare handlers of axum in a process of its own, with the allocator, the runtime and
//! the server that the program has, and nothing else.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::{Router, routing};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::bare;
use crate::bench::Bench;
use crate::client::{Answer, Client};
use crate::kept::Kept;

/// Has the orders of a ceiling: this process is one.
pub(crate) const ORDERS: &str = "BENCH_WIRE_CEILING";
/// Set for each answer by the server itself.
const OF_THE_SERVER: [&str; 3] = ["content-length", "date", "connection"];

#[derive(Serialize, Deserialize)]
enum Orders {
    /// The same answer for everything: what the program answered.
    Ready { status: u16, headers: Vec<(String, String)>, body: PathBuf },
    /// One operation of the driver for each request.
    Driver { uri: String, database: String },
}

/// A ceiling that serves.
pub(crate) struct Ceiling {
    _process: Kept,
    address: SocketAddr,
}

impl Ceiling {
    /// Gives out what the program gave out, its headers too.
    pub(crate) fn ready(bench: &Bench, answer: &Answer) -> Result<Self, String> {
        let body = bench.folder.path().join("ceiling-body");
        std::fs::write(&body, &answer.body).map_err(|error| format!("no body: {error}"))?;
        let of_the_program = |name: &str| !OF_THE_SERVER.iter().any(|other| name.eq_ignore_ascii_case(other));
        let headers = answer.headers.iter().filter(|(name, _)| of_the_program(name)).cloned().collect();
        Self::start(bench, &Orders::Ready { status: answer.status, headers, body })
    }

    /// Asks the driver.
    pub(crate) fn driver(bench: &Bench, uri: &str, database: &str) -> Result<Self, String> {
        Self::start(bench, &Orders::Driver { uri: uri.to_owned(), database: database.to_owned() })
    }

    fn start(bench: &Bench, orders: &Orders) -> Result<Self, String> {
        let orders = serde_json::to_string(orders).map_err(|error| error.to_string())?;
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = bench.cores.server(&this);
        command.env(ORDERS, orders).stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn().map_err(|error| format!("the ceiling does not start: {error}"))?;
        let mut process = Kept::new(child);
        let mut line = String::new();
        if let Some(out) = process.child().stdout.take() {
            BufReader::new(out).read_line(&mut line).map_err(|error| format!("the ceiling: {error}"))?;
        }
        let address = line.trim().parse().map_err(|_| "the ceiling ended at its start".to_owned())?;
        Ok(Self { _process: process, address })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn client(&self) -> Result<Client, String> {
        Client::connect(self.address)
    }
}

/// The process of a ceiling. It ends when its input does: with the harness, however that ends.
pub(crate) fn serve(orders: &str) -> Result<(), String> {
    let orders: Orders = serde_json::from_str(orders).map_err(|error| error.to_string())?;
    std::thread::spawn(|| {
        _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    // As the program does it.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let router = match orders {
            Orders::Ready { status, headers, body } => ready(status, &headers, &body)?,
            Orders::Driver { uri, database } => bare::router(&uri, &database).await?,
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.map_err(|error| error.to_string())?;
        println!("{}", listener.local_addr().map_err(|error| error.to_string())?);
        axum::serve(listener, router).await.map_err(|error| error.to_string())
    })
}

struct Ready {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

fn ready(status: u16, headers: &[(String, String)], body: &std::path::Path) -> Result<Router, String> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name.parse().map_err(|_| format!("{name} is no name"))?;
        map.append(name, HeaderValue::from_str(value).map_err(|error| error.to_string())?);
    }
    let ready = Ready {
        status: StatusCode::from_u16(status).map_err(|error| error.to_string())?,
        headers: map,
        body: std::fs::read(body).map_err(|error| error.to_string())?.into(),
    };
    let ready = Arc::new(ready);
    let paths = ["/stories", "/sections"];
    let router = paths.iter().fold(Router::new(), |router, path| router.route(path, routing::get(give)));
    Ok(router.with_state(ready))
}

async fn give(State(ready): State<Arc<Ready>>) -> Response {
    let mut response = Response::new(Body::from(ready.body.clone()));
    *response.status_mut() = ready.status;
    *response.headers_mut() = ready.headers.clone();
    response
}
