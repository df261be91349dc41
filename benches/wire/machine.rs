use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

/// The assignment of processors to servers and clients.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    /// Servers on one core, clients and `mongod` on the other.
    Split,
    /// No pinning: there is one processor, or `taskset` is missing.
    Shared,
}

const SERVER: &str = "0";
const CLIENT: &str = "1";

impl Cores {
    /// Detects what this machine supports.
    pub(crate) fn detect() -> Self {
        let several = available_parallelism().is_ok_and(|n| n.get() > 1);
        let pins = Command::new("taskset").args(["-c", "0,1", "true"]).output();
        if several && pins.is_ok_and(|done| done.status.success()) { Self::Split } else { Self::Shared }
    }

    /// Returns a command that runs on the server core.
    pub(crate) fn server(self, program: &std::path::Path) -> Command {
        self.on(SERVER, program)
    }

    /// Returns a command that runs on both cores.
    pub(crate) fn both(self, program: &std::path::Path) -> Command {
        self.on("0,1", program)
    }

    fn on(self, cores: &str, program: &std::path::Path) -> Command {
        match self {
            Self::Split => {
                let mut command = Command::new("taskset");
                command.args(["-c", cores]).arg(program);
                command
            }
            Self::Shared => Command::new(program),
        }
    }

    /// Pins this process and its future children to the client core.
    pub(crate) fn pin_client(self) {
        self.pin(CLIENT);
    }

    /// Allows this process both cores, for work that is not measured.
    pub(crate) fn unpin(self) {
        self.pin("0,1");
    }

    fn pin(self, cores: &str) {
        if self == Self::Split {
            let id = std::process::id().to_string();
            // A failure only makes the reported split inaccurate, which lowers subject and ceiling alike.
            _ = Command::new("taskset").args(["-a", "-c", "-p", cores, &id]).output();
        }
    }

    /// Describes the split for the report.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Split => "servers on core 0; wrk, the sequential client and mongod on core 1",
            Self::Shared => "none: all processes share all cores",
        }
    }
}

/// Returns names and values of the machine's properties that a figure depends on.
pub(crate) fn properties() -> Vec<(&'static str, String)> {
    // `available_parallelism` would count only the cores that this process is pinned to.
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processors = info.lines().filter(|line| line.starts_with("processor")).count();
    let cpu = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let mib = memory.lines().find_map(|line| {
        let kib: u64 = line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok()?;
        Some(kib / 1024)
    });
    vec![
        ("date", first_line("date", &["-u", "+%-d %B %Y"])),
        ("processor", cpu.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())),
        ("processors", processors.to_string()),
        ("memory", mib.map_or_else(|| "unknown".to_owned(), |mib| format!("{mib} MiB"))),
        ("kernel", first_line("uname", &["-sr"])),
        ("rustc", first_line("rustc", &["--version"])),
        ("wrk", first_line("wrk", &["-v"]).split_whitespace().take(2).collect::<Vec<_>>().join(" ")),
    ]
}

/// Returns the load average of the last minute: other work on the machine distorts the figures.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// Returns the first line that a command prints, even if it fails, as `wrk -v` does.
fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|done| String::from_utf8_lossy(&done.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").trim().to_owned()
}
