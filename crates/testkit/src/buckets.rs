//! Servers with the interfaces of S3 and of Google Cloud Storage, for tests of media.
//!
//! `tools/get-buckets.sh` installs them. Without them a test prints `not run: …`; with `CI=true` it fails.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use crate::locate::is_ci;
use crate::run::runtime;

/// The time in which a server must start.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// The time between two attempts to connect.
const RETRY: Duration = Duration::from_millis(50);

/// Runs a server, and kills it when the pipe closes, so that even a killed test process leaves nothing behind.
const SUPERVISOR: &str = r#"
"$@" </dev/null >/dev/null 2>&1 &
pid=$!
echo started
read -r _
kill -9 "$pid" 2>/dev/null
"#;

/// An interface of object storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketKind {
    /// S3, by moto.
    S3,
    /// Google Cloud Storage, by fake-gcs-server.
    Google,
}

/// A server process; stopped when dropped.
pub struct BucketServer {
    kind: BucketKind,
    address: String,
    supervisor: Child,
    commands: Option<ChildStdin>,
}

impl BucketServer {
    fn start(folder: &Path, kind: BucketKind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port().to_string();
        drop(listener);
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new("bash");
        command.args(["-c", SUPERVISOR, "supervisor"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        match kind {
            BucketKind::S3 => {
                command.arg(folder.join("bin/moto_server")).args(["-H", "127.0.0.1", "-p", &port]);
            }
            BucketKind::Google => {
                command.arg(folder.join("bin/fake-gcs-server"));
                command.args(["-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", &port]);
                command.args(["-public-host", &address]);
            }
        }
        let mut supervisor = command.spawn().expect("failed to start bash");
        let mut line = String::new();
        let output = supervisor.stdout.take().expect("the output is piped");
        BufReader::new(output).read_line(&mut line).expect("failed to read from the supervisor");
        let commands = supervisor.stdin.take();
        Self { kind, address, supervisor, commands }
    }

    async fn wait(&self) {
        let connect = async {
            while tokio::net::TcpStream::connect(&self.address).await.is_err() {
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::time::timeout(START_DEADLINE, connect).await.expect("the server did not start");
    }

    /// Returns the interface.
    pub fn kind(&self) -> BucketKind {
        self.kind
    }

    /// Returns `host:port` of the server.
    pub fn host(&self) -> &str {
        &self.address
    }

    /// Returns the URL of the server, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for BucketServer {
    fn drop(&mut self) {
        drop(self.commands.take());
        let _ = self.supervisor.wait();
    }
}

/// Runs a test body with a server of a kind.
pub fn with_bucket_server<F>(kind: BucketKind, body: impl FnOnce(BucketServer) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let folder = match folder() {
        Ok(folder) => folder,
        Err(reason) => {
            assert!(!is_ci(), "no server of object storage, which CI=true requires: {reason}");
            println!("not run: {reason}");
            return;
        }
    };
    let runtime = runtime();
    let server = BucketServer::start(&folder, kind);
    runtime.block_on(server.wait());
    let body = body(server);
    if let Err(failed) = runtime.block_on(async { tokio::spawn(body).await }) {
        std::panic::resume_unwind(failed.into_panic());
    }
}

/// Returns the folder of the servers; installs them if they are not there.
fn folder() -> Result<PathBuf, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/get-buckets.sh");
    let output = Command::new(&script)
        .output()
        .map_err(|error| format!("failed to run {}: {error}", script.display()))?;
    if output.status.success() {
        Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
