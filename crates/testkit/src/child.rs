//! Child processes that are killed or stopped at a chosen boundary between two writes.
//!
//! A child is the test binary itself, run again for its test named `child`, which calls `run`. The parent passes a task
//! and the location of a store in environment variables.

use std::env;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bson::doc;
use tempfile::TempDir;

use crate::mongod::Mongod;
use crate::run::{runtime, with_server_binary};
use crate::{Engine, StoreLocation, on, record};

const TASK: &str = "TEST_CHILD_TASK";
const LOCATION: &str = "TEST_CHILD_LOCATION";
/// Set in long runs: every boundary is tested instead of a sample.
const EVERY_BOUNDARY: &str = "TEST_EVERY_BOUNDARY";

/// Printed by a child before it kills itself, followed by a label.
const KILLED: &str = "child is killed in ";
/// Printed by a child before it stops itself.
const STOPPED: &str = "child is stopped";
/// Printed by a child that completed its task.
const DONE: &str = "child is done";
/// Sent to a resumed child.
const CONTINUE: &str = "continue\n";

/// More boundaries than any task has; a child that never finishes fails the test.
const MAX_BOUNDARIES: usize = 600;

/// Runs `work` with the task and the location if this process is a child; otherwise does nothing.
pub fn run<F: Future<Output = ()>>(work: impl FnOnce(String, StoreLocation) -> F) {
    let (Ok(task), Ok(location)) = (env::var(TASK), env::var(LOCATION)) else { return };
    runtime().block_on(work(task, StoreLocation::from_variable(&location)));
    println!("\n{DONE}");
}

fn command(task: &str, location: &StoreLocation) -> Command {
    let mut command = Command::new(env::current_exe().expect("the path of the test binary is unknown"));
    command.args(["child", "--exact", "--nocapture"]);
    command.env(TASK, task).env(LOCATION, location.to_variable()).stdout(Stdio::piped());
    command
}

/// Counts boundaries down to the chosen one.
#[derive(Debug)]
pub struct Countdown(AtomicUsize);

impl Countdown {
    /// Creates a countdown that is reached after the given number of boundaries.
    pub fn new(boundaries: usize) -> Self {
        Self(AtomicUsize::new(boundaries))
    }

    /// Counts one boundary and returns true, once, if it is the chosen one.
    pub fn is_reached(&self) -> bool {
        self.0.fetch_sub(1, Ordering::SeqCst) == 0
    }
}

/// Kills this child with SIGKILL. The parent receives the label.
pub fn kill_self(label: &str) -> ! {
    println!("\n{KILLED}{label}");
    send_signal_to_self("KILL");
    loop {
        std::thread::park();
    }
}

/// Stops this child with SIGSTOP and returns after [`StoppedChild::resume`].
pub fn stop_self() {
    println!("\n{STOPPED}");
    send_signal_to_self("STOP");
    // The kernel delivers the signal with a delay, so wait until the parent has resumed this process.
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("failed to read from the parent");
    assert_eq!(line, CONTINUE, "the parent resumed the child in an unexpected way");
}

fn send_signal_to_self(signal: &str) {
    std::io::stdout().flush().expect("failed to write to the parent");
    send_signal(signal, std::process::id());
}

fn send_signal(signal: &str, process: u32) {
    let status = Command::new("kill").args([format!("-{signal}"), process.to_string()]).status();
    assert!(status.expect("failed to run kill").success(), "failed to send SIG{signal}");
}

/// Runs a child until it is killed. Returns the label passed to [`kill_self`], or `None` if the child completed its task.
pub async fn run_until_killed(task: &str, location: &StoreLocation) -> Option<String> {
    let mut command = command(task, location);
    let child =
        command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("failed to start the child");
    let wait = tokio::task::spawn_blocking(move || child.wait_with_output());
    let output = wait.await.expect("the waiting task panicked").expect("failed to wait for the child");
    let text = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        assert!(text.contains(DONE), "the child did nothing:\n{text}");
        return None;
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(9), "the child failed:\n{text}\n{errors}");
    let label = text.lines().find_map(|line| line.strip_prefix(KILLED)).expect("the child printed no label");
    Some(label.to_owned())
}

/// A child that has stopped itself.
pub struct StoppedChild {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl StoppedChild {
    /// Runs a child until it is stopped. Returns `None` if the child completed its task.
    pub async fn start(task: &str, location: &StoreLocation) -> Option<Self> {
        let mut process =
            command(task, location).stdin(Stdio::piped()).spawn().expect("failed to start the child");
        let mut output = BufReader::new(process.stdout.take().expect("the output is piped"));
        let read = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            while !text.contains(STOPPED) && output.read_line(&mut text).expect("failed to read") > 0 {}
            (output, text)
        });
        let (output, text) = read.await.expect("the reading task panicked");
        if !text.contains(STOPPED) {
            assert!(process.wait().expect("failed to wait").success(), "the child failed:\n{text}");
            return None;
        }
        while !is_stopped(&process) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Some(Self { process, output })
    }

    /// Kills the child.
    pub fn kill(mut self) {
        self.process.kill().expect("failed to kill the child");
        self.process.wait().expect("failed to wait for the child");
    }

    /// Resumes the child, waits until it has completed its task, and returns the rest of its output.
    pub async fn resume(mut self) -> String {
        send_signal("CONT", self.process.id());
        let input = self.process.stdin.as_mut().expect("the input is piped");
        input.write_all(CONTINUE.as_bytes()).expect("failed to write to the child");
        let wait = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            self.output.read_to_string(&mut text).expect("failed to read");
            (self.process.wait().expect("failed to wait"), text)
        });
        let (status, text) = wait.await.expect("the waiting task panicked");
        assert!(status.success(), "the child failed after it was resumed:\n{text}");
        text
    }
}

fn is_stopped(process: &Child) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).expect("the child has ended");
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
}

/// The server, or none, on which a test creates a store for each attempt.
#[derive(Debug, Clone)]
pub enum Stores {
    /// Files in temporary folders.
    Embedded,
    /// Databases on the server with this connection string.
    Mongo(String),
}

impl Stores {
    /// Returns the location of a new store; an embedded one is removed with the returned folder.
    pub fn create(&self, name: &str) -> (StoreLocation, Option<TempDir>) {
        match self {
            Self::Embedded => {
                let folder = record::scratch("child-").expect("failed to create a temporary folder");
                (StoreLocation::Embedded(folder.path().join("store.db")), Some(folder))
            }
            Self::Mongo(uri) => (StoreLocation::Mongo { uri: uri.clone(), database: name.to_owned() }, None),
        }
    }

    /// Returns the number of attempts that run at once. On a server most of the time is spent waiting for leases to
    /// expire; the embedded store detects a dead holder immediately.
    fn concurrency(&self) -> usize {
        match self {
            Self::Embedded => 2,
            Self::Mongo(_) => 8,
        }
    }

    /// Runs `attempt` for every `sample`-th boundary until a child completes its task, for every boundary in long runs.
    /// An attempt returns a label if its child was killed at the boundary with the given number. Returns the labels.
    pub async fn kill_at_boundaries<F>(&self, sample: usize, attempt: impl Fn(usize) -> F) -> KilledRuns
    where
        F: Future<Output = Option<String>> + Send + 'static,
    {
        let sample = if env::var_os(EVERY_BOUNDARY).is_some() { 1 } else { sample };
        let mut labels = Vec::new();
        let mut boundaries = (0..MAX_BOUNDARIES).step_by(sample);
        loop {
            let attempts: Vec<_> =
                boundaries.by_ref().take(self.concurrency()).map(|n| (n, tokio::spawn(attempt(n)))).collect();
            assert!(!attempts.is_empty(), "the child never completes its task");
            let mut finished = false;
            for (boundary, attempt) in attempts {
                match attempt.await.unwrap_or_else(|error| panic!("boundary {boundary}: {error}")) {
                    Some(label) => {
                        assert!(!finished, "a child completed its task before boundary {boundary}");
                        labels.push(label);
                    }
                    None => finished = true,
                }
            }
            if finished {
                return KilledRuns { labels, sample };
            }
        }
    }
}

/// The runs that were killed.
#[derive(Debug)]
pub struct KilledRuns {
    /// The label of each run.
    pub labels: Vec<String>,
    sample: usize,
}

impl KilledRuns {
    /// Returns the estimated number of boundaries whose label satisfies the condition.
    pub fn boundaries(&self, condition: impl Fn(&str) -> bool) -> usize {
        self.labels.iter().filter(|label| condition(label)).count() * self.sample
    }
}

/// The topology of a test server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// A replica set of one node, which has transactions.
    ReplicaSet,
    /// A standalone server.
    Standalone,
}

/// Runs a test body with embedded stores.
pub fn on_embedded<F>(body: impl FnOnce(Stores) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    on(Engine::Embedded, |_| body(Stores::Embedded));
}

/// Runs a test body with stores on a server of its own.
pub fn on_server<F>(topology: Topology, body: impl FnOnce(Stores) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    with_server_binary(move |binary| async move {
        let server = match topology {
            Topology::ReplicaSet => Mongod::replica_set(&binary).await,
            Topology::Standalone => Mongod::standalone(&binary).await,
        };
        let server = server.expect("failed to start a server");
        if topology == Topology::ReplicaSet {
            // The transaction of a killed client keeps its locks for a minute by default.
            let admin = server.direct().await.expect("failed to connect").database("admin");
            let limit = doc! { "setParameter": 1, "transactionLifetimeLimitSeconds": 2 };
            admin.run_command(limit).await.expect("failed to set the transaction lifetime");
        }
        body(Stores::Mongo(server.uri())).await;
        drop(server);
    });
}
