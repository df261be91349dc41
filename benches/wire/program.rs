use std::fs::{self, File};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::cleanup::{ManagedChild, peak_mib, resident_mib};
use crate::client::{Answer, Client};

/// Deadline of a start, generous because the first start with a million stories builds the indexes.
const START_DEADLINE: Duration = Duration::from_mins(5);

/// The location of a store.
#[derive(Debug, Clone)]
pub(crate) enum Location {
    /// A folder.
    Embedded(PathBuf),
    /// A connection string and a database.
    Mongo(String, String),
}

/// A running instance of the program.
pub(crate) struct Program {
    process: ManagedChild,
    address: SocketAddr,
    /// Time from before the spawn to the first 200 on `/sections`.
    pub(crate) start_time: Duration,
}

/// Disables the response cache.
pub(crate) const UNCACHED: &[(&str, &str)] = &[("CACHE_MAX_BYTES", "0")];

impl Program {
    /// Starts the program on the server core.
    pub(crate) fn start(
        bench: &Bench,
        location: &Location,
        variables: &[(&str, &str)],
    ) -> Result<Self, String> {
        Self::spawn(bench, location, variables, bench.cores.server(&bench.settings.program))
    }

    /// Starts the program on both cores.
    pub(crate) fn start_unpinned(bench: &Bench, location: &Location) -> Result<Self, String> {
        Self::spawn(bench, location, &[], bench.cores.both(&bench.settings.program))
    }

    fn spawn(
        bench: &Bench,
        location: &Location,
        variables: &[(&str, &str)],
        mut command: Command,
    ) -> Result<Self, String> {
        let address = free_address()?;
        let log = bench.folder.path().join(format!("program-{}.log", address.port()));
        let file = File::create(&log).map_err(|error| format!("failed to create the log: {error}"))?;
        let error_file = file.try_clone().map_err(|error| format!("failed to create the log: {error}"))?;
        command.arg("serve").current_dir(bench.folder.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        match location {
            Location::Embedded(folder) => command.env("DATA_DIR", folder),
            Location::Mongo(uri, database) => command.env("MONGO_URI", uri).env("MONGO_DB_NAME", database),
        };
        command
            .env("ADMIN_EMAIL", "admin@example.com")
            .env("ALLOW_DEV_AUTH", "true")
            .env("HOST", address.ip().to_string())
            .env("PORT", address.port().to_string())
            .env("RATE_LIMITS", "off")
            .env("RUST_LOG", "warn")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(error_file);
        let began = Instant::now();
        let child = command.spawn().map_err(|error| format!("failed to start the program: {error}"))?;
        let mut process = ManagedChild::new(child);
        while !is_serving(address) {
            let ended = process.child().try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || began.elapsed() > START_DEADLINE {
                let text = fs::read_to_string(&log).unwrap_or_default();
                let tail: Vec<_> = text.lines().rev().take(3).collect();
                return Err(format!("the program did not start serving: {}", tail.join(" | ")));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(Self { process, address, start_time: began.elapsed() })
    }

    /// Stops the program with SIGTERM and waits for its exit, so that the store is closed properly.
    pub(crate) fn stop(mut self) {
        let signaled = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        let began = Instant::now();
        while signaled.is_ok() && began.elapsed() < Duration::from_secs(15) {
            if !matches!(self.process.child().try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn client(&self) -> Result<Client, String> {
        Client::connect(self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn resident_mib(&self) -> Result<f64, String> {
        resident_mib(self.process.id())
    }

    pub(crate) fn peak_mib(&self) -> Result<f64, String> {
        peak_mib(self.process.id())
    }

    /// Repeats a request until the response comes from the cache in the requested encoding.
    pub(crate) fn warm(&self, path: &str, headers: &str) -> Result<Answer, String> {
        let mut client = self.client()?;
        let began = Instant::now();
        loop {
            let answer = client.get(path, headers)?;
            let hit = answer.header("cache-status").is_some_and(|status| status.contains("hit"));
            let wants_br = headers.contains("br");
            if hit && wants_br == (answer.header("content-encoding") == Some("br")) {
                return Ok(answer);
            }
            if began.elapsed() > Duration::from_secs(10) {
                return Err(format!("{path} is not cached after ten seconds of requests"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn is_serving(address: SocketAddr) -> bool {
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return false };
    let request = "GET /sections HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut head = [0; 12];
    stream.write_all(request.as_bytes()).is_ok()
        && std::io::Read::read_exact(&mut stream, &mut head).is_ok()
        && head.ends_with(b"200")
}

fn free_address() -> Result<SocketAddr, String> {
    let listener =
        TcpListener::bind("127.0.0.1:0").map_err(|error| format!("failed to find a free port: {error}"))?;
    listener.local_addr().map_err(|error| format!("failed to find a free port: {error}"))
}
