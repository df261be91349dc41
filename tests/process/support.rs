use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use testkit::Target;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command as AsyncCommand};

const BINARY: &str = env!("CARGO_BIN_EXE_field-notes");
/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_mins(1);

/// How the binary is run: a working directory, and nothing of this process's environment.
#[derive(Clone)]
pub(crate) struct Setup {
    folder: PathBuf,
    variables: Vec<(String, String)>,
}

impl Setup {
    /// In this folder, with nothing set.
    pub(crate) fn bare(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), variables: Vec::new() }
    }

    /// On the store of a test, with all that is needed.
    pub(crate) fn on(target: &Target, folder: &Path) -> Self {
        let setup = Self::bare(folder).with("ADMIN_EMAIL", "admin@example.com").with("PORT", "0");
        match target {
            Target::Embedded { .. } => setup.with("DATA_DIR", &folder.join("data").display().to_string()),
            Target::Mongo { uri, database } => setup.with("MONGO_URI", uri).with("MONGO_DB_NAME", database),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(BINARY);
        command.args(arguments).env_clear().envs(self.variables.clone()).current_dir(&self.folder);
        let Output { status, stdout, stderr } =
            command.stdin(Stdio::null()).output().expect("the binary runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints UTF-8");
        Ran { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// Starts a server and waits until it listens on the port that it chose.
    pub(crate) async fn spawn(&self) -> Server {
        let mut command = AsyncCommand::new(BINARY);
        command.env_clear().envs(self.variables.clone()).env("RUST_LOG", "info").current_dir(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the binary runs");
        let mut lines = BufReader::new(child.stderr.take().expect("its errors are ours")).lines();
        let address = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = lines.next_line().await.expect("its log is text") {
                if let Some(address) = line.split("address=").nth(1) {
                    return address.split_whitespace().next().unwrap_or_default().to_owned();
                }
            }
            panic!("it ended before it listened");
        });
        let address = address.await.expect("it listens in time");
        // Read on, or the pipe fills and the server waits.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Server { child, address }
    }
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A server under way; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn port(&self) -> &str {
        self.address.rsplit(':').next().unwrap_or_default()
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        // The client wants to know how it would encrypt, though it is not asked to. Only the first answer counts.
        _ = rustls::crypto::ring::default_provider().install_default();
        let answer = reqwest::get(format!("http://{}{path}", self.address)).await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// Asks until the start is over, and returns the sections.
    pub(crate) async fn sections(&self) -> Value {
        let served = tokio::time::timeout(PATIENCE, async {
            loop {
                let (status, body) = self.get("/sections").await;
                match status {
                    200 => return body,
                    503 => tokio::time::sleep(Duration::from_millis(10)).await,
                    other => panic!("{other}: {body}"),
                }
            }
        });
        served.await.expect("it serves in time")
    }

    /// Sends a signal: `TERM`, `KILL`, …
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it is under way").to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill runs");
        assert!(sent.success());
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .expect("it ends in time")
            .expect("it is waited for")
    }
}
