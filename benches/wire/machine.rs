use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

/// Which processors whoever takes part may use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    /// Servers on one, clients and `mongod` on the other.
    Split,
    /// Nobody is kept from anything: there is one processor, or `taskset` is missing.
    Shared,
}

const SERVER: &str = "0";
const CLIENT: &str = "1";

impl Cores {
    /// As this machine allows.
    pub(crate) fn find() -> Self {
        let several = available_parallelism().is_ok_and(|n| n.get() > 1);
        let pins = Command::new("taskset").args(["-c", "0,1", "true"]).output();
        if several && pins.is_ok_and(|done| done.status.success()) { Self::Split } else { Self::Shared }
    }

    /// A command that runs where servers run.
    pub(crate) fn server(self, program: &std::path::Path) -> Command {
        self.on(SERVER, program)
    }

    /// A command that runs on both.
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

    /// Moves this process, and whoever it starts from now on, to where clients run.
    pub(crate) fn become_client(self) {
        self.become_on(CLIENT);
    }

    /// Moves this process to both, for what is not measured.
    pub(crate) fn become_free(self) {
        self.become_on("0,1");
    }

    fn become_on(self, cores: &str) {
        if self == Self::Split {
            let me = std::process::id().to_string();
            // If it fails the split is not as told, which is seen in the figures of the ceilings at most.
            _ = Command::new("taskset").args(["-a", "-c", "-p", cores, &me]).output();
        }
    }

    /// In words.
    pub(crate) fn told(self) -> &'static str {
        match self {
            Self::Split => "servers on core 0; wrk, the sequential client and mongod on core 1",
            Self::Shared => "none: all share what there is",
        }
    }
}

/// Name and value of what has to be known of the machine to read a figure.
pub(crate) fn description() -> Vec<(&'static str, String)> {
    // This process may be on one of them already.
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processors = info.lines().filter(|line| line.starts_with("processor")).count();
    let cpu = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let mib = memory.lines().find_map(|line| {
        let kib: u64 = line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok()?;
        Some(kib / 1024)
    });
    vec![
        ("date", said("date", &["-u", "+%-d %B %Y"])),
        ("processor", cpu.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())),
        ("processors", processors.to_string()),
        ("memory", mib.map_or_else(|| "unknown".to_owned(), |mib| format!("{mib} MiB"))),
        ("kernel", said("uname", &["-sr"])),
        ("rustc", said("rustc", &["--version"])),
        ("wrk", said("wrk", &["-v"]).split_whitespace().take(2).collect::<Vec<_>>().join(" ")),
    ]
}

/// The load of the last minute: other work on the machine makes figures of little worth.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// The first line that a command says, even one that fails: `wrk -v` does.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|done| String::from_utf8_lossy(&done.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").trim().to_owned()
}
