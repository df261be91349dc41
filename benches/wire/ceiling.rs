//! The baseline for a subject: bare axum handlers in a separate process, with the same allocator, runtime and server as
//! the program, and nothing else.

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
use tower_http::services::ServeFile;

use crate::bench::Bench;
use crate::cleanup::ManagedChild;
use crate::client::{Answer, Client};
use crate::program::Location;
use crate::{bare_driver, bare_store};

/// Environment variable with a ceiling's configuration; set in the processes that are ceilings.
pub(crate) const CONFIG: &str = "BENCH_WIRE_CEILING";
/// Headers that the server sets on each response.
const SERVER_HEADERS: [&str; 3] = ["content-length", "date", "connection"];

#[derive(Serialize, Deserialize)]
enum CeilingConfig {
    /// The same response for every request: a copy of the program's.
    Fixed { status: u16, headers: Vec<(String, String)>, body: PathBuf },
    /// tower-http's `ServeFile` of a file.
    File { path: PathBuf },
    /// One driver operation for each request.
    Driver { uri: String, database: String },
    /// One read of the embedded store for each request.
    Store { folder: PathBuf },
}

/// A running ceiling process.
pub(crate) struct Ceiling {
    _process: ManagedChild,
    address: SocketAddr,
}

impl Ceiling {
    /// Starts a ceiling that repeats a response of the program, including its headers.
    pub(crate) fn fixed(bench: &Bench, answer: &Answer) -> Result<Self, String> {
        let body = bench.folder.path().join("ceiling-body");
        std::fs::write(&body, &answer.body).map_err(|error| format!("failed to write the body: {error}"))?;
        let is_copied = |name: &str| !SERVER_HEADERS.iter().any(|other| name.eq_ignore_ascii_case(other));
        let headers = answer.headers.iter().filter(|(name, _)| is_copied(name)).cloned().collect();
        Self::start(bench, &CeilingConfig::Fixed { status: answer.status, headers, body })
    }

    /// Starts a ceiling that delivers a file.
    pub(crate) fn file(bench: &Bench, path: PathBuf) -> Result<Self, String> {
        Self::start(bench, &CeilingConfig::File { path })
    }

    /// Starts a ceiling that calls the driver.
    pub(crate) fn driver(bench: &Bench, uri: &str, database: &str) -> Result<Self, String> {
        Self::start(bench, &CeilingConfig::Driver { uri: uri.to_owned(), database: database.to_owned() })
    }

    /// Starts a ceiling that finds the counts of 50 targets at `/counts`.
    pub(crate) fn counts(bench: &Bench, location: &Location) -> Result<Self, String> {
        match location {
            Location::Embedded(folder) => {
                Self::start(bench, &CeilingConfig::Store { folder: folder.clone() })
            }
            Location::Mongo(uri, database) => Self::driver(bench, uri, database),
        }
    }

    fn start(bench: &Bench, config: &CeilingConfig) -> Result<Self, String> {
        let config = serde_json::to_string(config).map_err(|error| error.to_string())?;
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = bench.cores.server(&this);
        command.env(CONFIG, config).stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn().map_err(|error| format!("failed to start the ceiling: {error}"))?;
        let mut process = ManagedChild::new(child);
        let mut line = String::new();
        if let Some(out) = process.child().stdout.take() {
            BufReader::new(out).read_line(&mut line).map_err(|error| format!("the ceiling: {error}"))?;
        }
        let address = line.trim().parse().map_err(|_| "the ceiling ended during its start".to_owned())?;
        Ok(Self { _process: process, address })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn client(&self) -> Result<Client, String> {
        Client::connect(self.address)
    }
}

/// Runs a ceiling until its standard input closes, which happens however the harness ends.
pub(crate) fn serve(config: &str) -> Result<(), String> {
    let config: CeilingConfig = serde_json::from_str(config).map_err(|error| error.to_string())?;
    std::thread::spawn(|| {
        _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    // The same runtime as the program's.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let router = match config {
            CeilingConfig::Fixed { status, headers, body } => fixed_router(status, &headers, &body)?,
            CeilingConfig::Store { folder } => bare_store::router(&folder).await?,
            CeilingConfig::File { path } => Router::new().fallback_service(ServeFile::new(path)),
            CeilingConfig::Driver { uri, database } => bare_driver::router(&uri, &database).await?,
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.map_err(|error| error.to_string())?;
        println!("{}", listener.local_addr().map_err(|error| error.to_string())?);
        axum::serve(listener, router).await.map_err(|error| error.to_string())
    })
}

struct FixedResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

fn fixed_router(status: u16, headers: &[(String, String)], body: &std::path::Path) -> Result<Router, String> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name.parse().map_err(|_| format!("{name} is not a header name"))?;
        map.append(name, HeaderValue::from_str(value).map_err(|error| error.to_string())?);
    }
    let fixed = FixedResponse {
        status: StatusCode::from_u16(status).map_err(|error| error.to_string())?,
        headers: map,
        body: std::fs::read(body).map_err(|error| error.to_string())?.into(),
    };
    let fixed = Arc::new(fixed);
    let paths = ["/stories", "/sections", "/api/engagement/{kind}/{id}/comments"];
    let router = paths.iter().fold(Router::new(), |router, path| router.route(path, routing::get(respond)));
    Ok(router.with_state(fixed))
}

async fn respond(State(fixed): State<Arc<FixedResponse>>) -> Response {
    let mut response = Response::new(Body::from(fixed.body.clone()));
    *response.status_mut() = fixed.status;
    *response.headers_mut() = fixed.headers.clone();
    response
}
