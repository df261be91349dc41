use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::mpsc;

/// The names of Chromium on the systems that package it.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// A browser that reports nothing for this long hangs.
const DEADLINE: Duration = Duration::from_mins(3);
/// Scripts without the nonce of the harness run, and the browser reports each attempt.
const REPORTED: &str = "script-src 'nonce-harness'";
/// Frames inside of content are reported, too, and not loaded: each would be a process.
const ENFORCED: &str = "frame-src 'none'; object-src 'none'";

/// The report of a browser that loaded contents.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Report {
    Finished {
        /// The number of loaded documents.
        inspected: usize,
        /// The number of elements in them.
        elements: usize,
        /// The scripts that ran or could run, by the index of the content.
        found: BTreeMap<String, Vec<String>>,
    },
    Failed {
        error: String,
    },
}

/// Returns the browser of this machine: that of `CHROMIUM`, or one on the path.
pub(crate) fn locate() -> Option<PathBuf> {
    if let Some(named) = env::var_os("CHROMIUM") {
        return Some(named.into());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .find(|program| program.is_file())
}

/// As [`locate`]; without a browser the test is reported as not run, and fails where CI requires one.
pub(crate) fn locate_or_skip() -> Option<PathBuf> {
    let program = locate();
    if program.is_none() {
        println!("not run: no browser; install Debian's `chromium`, or name one in CHROMIUM");
        let is_required = env::var("CI").is_ok_and(|ci| ci == "true" || ci == "1");
        assert!(!is_required, "no browser, which CI=true requires");
    }
    program
}

/// Loads contents in a browser and returns its report.
pub(crate) async fn load(browser: &Path, contents: &[String]) -> Report {
    let contents: Vec<_> =
        contents.iter().enumerate().map(|(id, html)| json!({ "id": id, "html": html })).collect();
    let contents = Value::from(contents).to_string();
    let (sender, mut reports) = mpsc::channel(1);
    let harness = [
        (header::CONTENT_TYPE.as_str(), "text/html; charset=utf-8"),
        ("content-security-policy-report-only", REPORTED),
        ("content-security-policy", ENFORCED),
    ];
    let site = Router::new()
        .route("/", get(move || async move { (harness, include_str!("xss/harness.html")) }))
        .route("/contents", get(move || async move { contents }))
        .route(
            "/report",
            post(move |report: String| async move { sender.send(report).await.is_ok().to_string() }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let served = tokio::spawn(async move { axum::serve(listener, site).await });
    let report = visit(browser, &format!("http://{address}/"), &mut reports).await;
    served.abort();
    serde_json::from_str(&report).unwrap_or_else(|error| panic!("{error}: {report}"))
}

/// Opens a page in a browser, and returns the text that the page reports.
pub(crate) async fn visit(browser: &Path, url: &str, reports: &mut mpsc::Receiver<String>) -> String {
    let profile = tempfile::tempdir().expect("a temporary folder");
    let mut process = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-extensions"])
        // Nothing but the harness can be reached. The port keeps the browser running.
        .args(["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--remote-debugging-port=0"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the browser starts");
    let report = tokio::time::timeout(DEADLINE, reports.recv()).await;
    process.kill().await.expect("the browser is stopped");
    report.expect("the browser reports in time").expect("the harness is served")
}
