use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use docstore::Database;
use docstore::sqlite::Options;
use serde_json::Value;
use tempfile::TempDir;
use testkit::Target;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// Returns the time after which a program counts as hung: a minute, and more for a long run.
fn timeout() -> Duration {
    Duration::from_mins(1) + Duration::from_millis(u64::from(long_documents().unwrap_or(0)))
}

/// Returns the number of documents of a long run, if this is one.
pub(crate) fn long_documents() -> Option<u32> {
    std::env::var("MIGRATIONS_LONG_DOCUMENTS").ok()?.parse().ok()
}

/// Returns the path of the program: the build of the tests, or `FIELD_NOTES_PROGRAM` for a build that measures more truly.
fn built() -> PathBuf {
    std::env::var_os("FIELD_NOTES_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_field-notes").into()).into()
}

/// The program in an empty folder, with only the environment that a test sets.
pub(crate) struct Program {
    folder: TempDir,
    variables: Vec<(String, String)>,
    /// The file that receives standard error instead of the log file.
    error_output: Option<PathBuf>,
    /// The user it runs as, if not this one.
    user: Option<u32>,
    /// The maximum size of the files that it writes, in blocks of 512 bytes.
    max_file_blocks: Option<u32>,
}

impl Program {
    /// Creates a program without variables.
    pub(crate) fn bare() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            variables: Vec::new(),
            error_output: None,
            user: None,
            max_file_blocks: None,
        }
    }

    /// Runs as this user, from a copy that this user can reach.
    pub(crate) fn run_by(mut self, user: u32) -> Self {
        let (built, copy) = (built(), self.folder().join("field-notes"));
        fs::hard_link(&built, &copy).or_else(|_| fs::copy(&built, &copy).map(drop)).expect("a copy");
        self.user = Some(user);
        self
    }

    /// Limits the size of the files that it writes, in blocks of 512 bytes. Larger writes fail, as on a full disk.
    pub(crate) fn with_max_file_blocks(mut self, blocks: u32) -> Self {
        self.max_file_blocks = Some(blocks);
        self
    }

    /// Creates a program that serves from the store of a test.
    pub(crate) fn on(target: &Target) -> Self {
        let program = Self::bare()
            .with("ADMIN_EMAIL", "admin@example.com")
            .with("ALLOW_DEV_AUTH", "true")
            .with("MIGRATE_LEASE_SECONDS", "2");
        match target {
            Target::Embedded { path, .. } => {
                let folder = path.parent().expect("the file is in a folder");
                program.with("DATA_DIR", &folder.display().to_string())
            }
            Target::Mongo { uri, database } => program.with("MONGO_URI", uri).with("MONGO_DB_NAME", database),
        }
    }

    /// Sets a variable.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends standard error to a file.
    pub(crate) fn with_error_output(mut self, path: &str) -> Self {
        self.error_output = Some(path.into());
        self
    }

    /// Returns the folder it runs in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the names of the files in that folder.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder()).expect("the folder is there");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    /// Returns its environment.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&String, &String)> {
        self.variables.iter().map(|(name, value)| (name, value))
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let copy = self.user.map(|_| self.folder().join("field-notes"));
        let program = copy.unwrap_or_else(built);
        let mut command = match self.max_file_blocks {
            None => Command::new(program),
            Some(blocks) => {
                let mut shell = Command::new("/bin/sh");
                // Without the trap the first such write would end the program.
                let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
                shell.arg("-c").arg(script).arg(program);
                shell
            }
        };
        command.args(arguments).current_dir(self.folder()).env_clear().stdin(Stdio::null());
        command.envs(testkit::record::commands_variable()).envs(self.variables());
        if let Some(user) = self.user {
            command.uid(user);
        }
        command
    }

    /// Runs it to completion.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        let output = self.command(arguments).output().expect("the program runs");
        Finished::from_output(&output)
    }

    /// Starts it without waiting.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.start_with(arguments, &[])
    }

    fn start_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Running {
        let (file, log) = tempfile::Builder::new()
            .prefix("output-")
            .tempfile_in(self.folder())
            .and_then(|file| file.keep().map_err(Into::into))
            .expect("a log file");
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        let error: Stdio = match &self.error_output {
            Some(path) => fs::File::options().write(true).open(path).expect("a file").into(),
            None => file.try_clone().expect("a second handle").into(),
        };
        command.stdout(file).stderr(error);
        Running { child: command.spawn().expect("the program starts"), log }
    }

    /// Starts serving on a free port without waiting.
    pub(crate) fn spawn(&self) -> Server {
        self.spawn_on(free_port())
    }

    /// Starts serving on a port without waiting.
    pub(crate) fn spawn_on(&self, port: u16) -> Server {
        let running = self.start_with(&["serve"], &[("PORT", &port.to_string())]);
        // The client requires a cryptography provider even for plain HTTP. Another test may have
        // installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Server { running, base: format!("http://127.0.0.1:{port}"), client: reqwest::Client::new() }
    }

    /// Starts serving and waits until it is ready.
    pub(crate) async fn serve(&self) -> Server {
        let mut server = self.spawn();
        server.wait_until_ready().await;
        server
    }
}

/// Returns a free port. If another process binds it first, the test fails.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    fn from_output(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Panics with the output unless it exited with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) cache_status: String,
    pub(crate) body: String,
}

/// A running program; killed when dropped.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Returns the output so far.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Reports whether it is still running.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the child can be examined").is_none()
    }

    /// Waits until it prints a text.
    pub(crate) async fn wait_for_output(&mut self, text: &str) {
        let began = Instant::now();
        while !self.output().contains(text) {
            assert!(
                self.is_running() && began.elapsed() < timeout(),
                "it was never printed:\n{}",
                self.output()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends a signal by name. Does nothing if the program has ended.
    pub(crate) fn signal(&self, name: &str) {
        let _ = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
    }

    /// Waits for it to end and returns the exit code; `None` if a signal ended it.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().expect("the child can be waited for").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A serving program; killed when dropped.
pub(crate) struct Server {
    running: Running,
    base: String,
    client: reqwest::Client,
}

impl Server {
    /// Returns the base URL.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Returns its memory.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.memory_kib("VmRSS:")
    }

    /// Returns the most memory that it had since [`Server::forget_peak`].
    pub(crate) fn peak_kib(&self) -> u64 {
        self.memory_kib("VmHWM:")
    }

    /// Makes its present memory the peak.
    pub(crate) fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.id()), "5").expect("the process is there");
    }

    fn memory_kib(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("its memory is printed");
        line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.running.child.id()
    }

    /// Returns the output so far.
    pub(crate) fn output(&self) -> String {
        self.running.output()
    }

    /// Waits until it prints a text.
    pub(crate) async fn wait_for_output(&mut self, text: &str) {
        self.running.wait_for_output(text).await;
    }

    /// Waits until `/readyz` answers 200.
    pub(crate) async fn wait_until_ready(&mut self) {
        let began = Instant::now();
        loop {
            assert!(self.running.is_running(), "the server ended:\n{}", self.output());
            let answer = self.client.get(format!("{}/readyz", self.base)).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            assert!(began.elapsed() < timeout(), "not ready after {:?}:\n{}", began.elapsed(), self.output());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until `/readyz` of an incomplete start meets a condition, and returns its body.
    pub(crate) async fn wait_for_readyz(&mut self, expected: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            if let Ok(answer) = self.client.get(format!("{}/readyz", self.base)).send().await {
                assert_eq!(answer.status(), 503, "ready too early:\n{}", self.output());
                let body: Value = answer.json().await.expect("JSON");
                if expected(&body) {
                    return body;
                }
            }
            assert!(began.elapsed() < timeout(), "it was never printed:\n{}", self.output());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until `/readyz` of a server that was ready is 503 and meets a condition, and returns its body.
    pub(crate) async fn wait_for_readyz_after_start(&self, expected: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let (status, body) = self.get("/readyz").await;
            if status == 503 && expected(&body) {
                return body;
            }
            assert!(began.elapsed() < timeout(), "{body}:\n{}", self.output());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Requests a path. Returns status and JSON.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// Requests a path. Returns status, `Cache-Status` and body.
    pub(crate) async fn look(&self, path: &str) -> Response {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await.expect("an answer");
        let cache_status =
            answer.headers().get("cache-status").map(|value| value.to_str().expect("text").to_owned());
        let status = answer.status().as_u16();
        let body = answer.text().await.expect("a body");
        Response { status, cache_status: cache_status.unwrap_or_default(), body }
    }

    /// Posts JSON as the development administrator.
    pub(crate) async fn post_as_admin(&self, path: &str, body: &Value) -> (u16, Value) {
        self.post_as_admin_with(path, &[], body).await
    }

    /// As [`Server::post_as_admin`], with headers.
    pub(crate) async fn post_as_admin_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> (u16, Value) {
        let mut request = self.client.post(format!("{}{path}", self.base)).bearer_auth("dev-mock-admin");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.json(body).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// Uploads a file as the development administrator.
    pub(crate) async fn upload(&self, file: &[u8]) -> reqwest::Response {
        let head = "--x\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a\"\r\n\r\n";
        let body = [head.as_bytes(), file, b"\r\n--x--\r\n"].concat();
        let request = self.client.post(format!("{}/uploads", self.base)).bearer_auth("dev-mock-admin");
        let request = request.header("content-type", "multipart/form-data; boundary=x").body(body);
        request.send().await.expect("an answer")
    }

    /// Patches JSON as the development administrator.
    pub(crate) async fn patch_as_admin(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.patch(format!("{}{path}", self.base)).bearer_auth("dev-mock-admin");
        let answer = request.json(body).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// Requests a path with a token.
    pub(crate) async fn ask(&self, path: &str, token: &str) -> reqwest::Response {
        let request = self.client.get(format!("{}{path}", self.base)).bearer_auth(token);
        request.send().await.expect("an answer")
    }

    /// Requests a path as the development administrator.
    pub(crate) async fn get_as_admin(&self, path: &str) -> (u16, Value) {
        let request = self.client.get(format!("{}{path}", self.base)).bearer_auth("dev-mock-admin");
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// Returns the slugs of `GET /sections`, in order.
    pub(crate) async fn section_slugs(&self) -> Vec<String> {
        let (status, body) = self.get("/sections").await;
        assert_eq!(status, 200, "{body}");
        slugs(&body)
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        self.running.signal(name);
    }

    /// Waits for it to end and returns the exit code; `None` if a signal ended it.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.running.wait()
    }
}

/// Reads one response with a body of JSON, and leaves the connection open.
pub(crate) async fn read_one(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    let mut part = [0; 4096];
    while !answer.contains("\r\n\r\n") || !answer.trim_end().ends_with('}') {
        let length = stream.read(&mut part).await.expect("an answer");
        assert!(length > 0, "the connection is closed: {answer}");
        answer.push_str(&String::from_utf8_lossy(&part[..length]));
    }
    answer
}

/// Returns the slugs of a list's items, in order.
pub(crate) fn slugs(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().expect("a list");
    items.iter().map(|item| item["slug"].as_str().expect("a slug").to_owned()).collect()
}

/// Opens the store that [`Program::on`] serves from.
pub(crate) async fn open_store(target: &Target) -> Database {
    match target {
        // The program's file has its own name in the target's folder.
        Target::Embedded { path, .. } => {
            let path = path.with_file_name("field-notes.db");
            docstore::sqlite::open(Options { path }).await.expect("the store opens")
        }
        Target::Mongo { .. } => testkit::open!(target),
    }
}
