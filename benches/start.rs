//! Cold start and idle memory of the `field-notes` binary on the embedded store, migrations already applied.
//!
//! Run by `cargo bench --bench start` (or `make bench-start`), never by the test suite. Each run is a new process: the
//! clock starts before it is spawned and stops at the first 200 on `GET /sections` over a real socket. As a baseline for
//! the machine, the binary's `--version`, which starts, prints and exits, is measured the same way.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 21;
/// A start that takes longer than this is broken, not slow.
const GIVE_UP: Duration = Duration::from_secs(30);
const BINARY: &str = env!("CARGO_BIN_EXE_field-notes");

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address = free_address();

    let (first, mut server) = start(folder.path(), address);
    stop(&mut server);

    let mut starts = Vec::new();
    let mut memory = Vec::new();
    let mut bare = Vec::new();
    for _ in 0..RUNS {
        let (took, mut server) = start(folder.path(), address);
        starts.push(took);
        std::thread::sleep(Duration::from_secs(1));
        memory.push(resident_kib(&server));
        stop(&mut server);

        let began = Instant::now();
        let status =
            Command::new(BINARY).arg("--version").stdout(Stdio::null()).status().expect("the binary runs");
        assert!(status.success(), "--version fails");
        bare.push(began.elapsed());
    }

    let ms = |d: Duration| d.as_secs_f64() * 1000.0;
    println!(
        "{RUNS} starts, embedded store, migrations already applied (the first start, which applies them, took {:.1} ms)",
        ms(first)
    );
    println!("  spawn to first 200 on /sections   {}", spread(&mut starts, |d| format!("{:.1} ms", ms(*d))));
    println!("  spawn to exit of --version        {}", spread(&mut bare, |d| format!("{:.1} ms", ms(*d))));
    println!(
        "  resident memory after 1 s idle    {}",
        spread(&mut memory, |k| format!("{}.{} MiB", k / 1024, k % 1024 * 10 / 1024))
    );
}

/// Spawns the server and polls `/sections` until it responds with 200.
fn start(folder: &Path, address: SocketAddr) -> (Duration, Child) {
    let began = Instant::now();
    let server = Command::new(BINARY)
        .arg("serve")
        .current_dir(folder)
        .env_clear()
        .env("ADMIN_EMAIL", "admin@example.com")
        .env("DATA_DIR", folder.join("data"))
        .env("HOST", address.ip().to_string())
        .env("PORT", address.port().to_string())
        .env("RUST_LOG", "warn")
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary runs");
    while !is_serving(address) {
        assert!(began.elapsed() < GIVE_UP, "the server did not respond within {GIVE_UP:?}");
        std::thread::sleep(Duration::from_micros(200));
    }
    (began.elapsed(), server)
}

fn is_serving(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let request = "GET /sections HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut head = [0; 12];
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_exact(&mut head).is_ok()
        && head.ends_with(b"200")
}

fn stop(server: &mut Child) {
    server.kill().expect("the server can be killed");
    server.wait().expect("the server can be waited for");
}

/// Returns `VmRSS` of the process; Linux only.
fn resident_kib(server: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).expect("/proc is there");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the process is alive");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("VmRSS is a number")
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address")
}

fn spread<T: Ord>(values: &mut [T], text: impl Fn(&T) -> String) -> String {
    values.sort();
    let (low, middle, high) = (&values[0], &values[values.len() / 2], &values[values.len() - 1]);
    format!("median {}   (min {}, max {})", text(middle), text(low), text(high))
}
