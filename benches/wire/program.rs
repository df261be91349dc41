use std::fs::{self, File};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::client::{Answer, Client};
use crate::kept::{Kept, resident_mib};

/// A start that takes longer is broken, not slow: with a million stories the indexes are made in it.
const GIVE_UP: Duration = Duration::from_mins(5);

/// Where a store is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A folder.
    Embedded(PathBuf),
    /// A connection string and a database.
    Mongo(String, String),
}

/// The program, serving.
pub(crate) struct Program {
    process: Kept,
    address: SocketAddr,
    /// From before it was spawned to the first 200 on `/sections`.
    pub(crate) started: Duration,
}

/// Nothing is kept of what is rendered.
pub(crate) const UNCACHED: &[(&str, &str)] = &[("CACHE_MAX_BYTES", "0")];

impl Program {
    /// Starts it where servers run.
    pub(crate) fn start(bench: &Bench, place: &Place, variables: &[(&str, &str)]) -> Result<Self, String> {
        Self::spawn(bench, place, variables, bench.cores.server(&bench.settings.program))
    }

    /// Starts it where it may use what it likes.
    pub(crate) fn start_free(bench: &Bench, place: &Place) -> Result<Self, String> {
        Self::spawn(bench, place, &[], bench.cores.both(&bench.settings.program))
    }

    fn spawn(
        bench: &Bench,
        place: &Place,
        variables: &[(&str, &str)],
        mut command: Command,
    ) -> Result<Self, String> {
        let address = free_address()?;
        let log = bench.folder.path().join(format!("program-{}.log", address.port()));
        let file = File::create(&log).map_err(|error| format!("no log: {error}"))?;
        let again = file.try_clone().map_err(|error| format!("no log: {error}"))?;
        command.arg("serve").current_dir(bench.folder.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        match place {
            Place::Embedded(folder) => command.env("DATA_DIR", folder),
            Place::Mongo(uri, database) => command.env("MONGO_URI", uri).env("MONGO_DB_NAME", database),
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
            .stderr(again);
        let began = Instant::now();
        let child = command.spawn().map_err(|error| format!("the program does not start: {error}"))?;
        let mut process = Kept::new(child);
        while !answers(address) {
            let ended = process.child().try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || began.elapsed() > GIVE_UP {
                let text = fs::read_to_string(&log).unwrap_or_default();
                let tail: Vec<_> = text.lines().rev().take(3).collect();
                return Err(format!("the program did not come to serve: {}", tail.join(" | ")));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(Self { process, address, started: began.elapsed() })
    }

    /// Tells it to end and waits until it has, so that its store is as it should be.
    pub(crate) fn end(mut self) {
        let told = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        let began = Instant::now();
        while told.is_ok() && began.elapsed() < Duration::from_secs(15) {
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

    pub(crate) fn resident_mib(&self) -> Result<f64, String> {
        resident_mib(self.process.id())
    }

    /// Asks until the answer comes from the shelf, in the coding that was asked for.
    pub(crate) fn warm(&self, path: &str, headers: &str) -> Result<Answer, String> {
        let mut client = self.client()?;
        let began = Instant::now();
        loop {
            let answer = client.get(path, headers)?;
            let hit = answer.header("cache-status").is_some_and(|told| told.contains("hit"));
            let wants_br = headers.contains("br");
            if hit && wants_br == (answer.header("content-encoding") == Some("br")) {
                return Ok(answer);
            }
            if began.elapsed() > Duration::from_secs(10) {
                return Err(format!("{path} is not rendered after ten seconds of asking"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return false };
    let request = "GET /sections HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut head = [0; 12];
    stream.write_all(request.as_bytes()).is_ok()
        && std::io::Read::read_exact(&mut stream, &mut head).is_ok()
        && head.ends_with(b"200")
}

fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| format!("no free port: {error}"))?;
    listener.local_addr().map_err(|error| format!("no free port: {error}"))
}
