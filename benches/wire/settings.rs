use std::path::PathBuf;
use std::time::Duration;

/// What sizes a run. Each is a variable of the environment; README.md in `docs/performance` lists them.
pub(crate) struct Settings {
    /// The program that is measured.
    pub(crate) program: PathBuf,
    /// How long one load lasts.
    pub(crate) seconds: u64,
    /// How often subject and ceiling take turns.
    pub(crate) rounds: u64,
    /// How many requests a sequential client sends in a round, at the most.
    pub(crate) samples: usize,
    /// Connections of a load.
    pub(crate) connections: u64,
    /// Stories in the large stores.
    pub(crate) stories: u64,
    /// How many pages a walk by cursor goes.
    pub(crate) pages: usize,
    /// How long the load lasts after which memory is read.
    pub(crate) memory_seconds: u64,
    /// After so long no further row begins.
    pub(crate) limit: Duration,
    /// The rows that are measured; all if empty.
    pub(crate) only: Vec<String>,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// Every variable that is wrong.
    pub(crate) fn read() -> Result<Self, String> {
        let mut wrong = Vec::new();
        let mut number = |name: &str, otherwise: u64| match std::env::var(name) {
            Err(_) => otherwise,
            Ok(text) => text.trim().parse().ok().filter(|n| *n > 0).unwrap_or_else(|| {
                wrong.push(format!("{name} has to be a whole number above 0"));
                otherwise
            }),
        };
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let settings = Self {
            program: std::env::var_os("BENCH_PROGRAM")
                .map_or_else(|| env!("CARGO_BIN_EXE_field-notes").into(), PathBuf::from),
            seconds: number("BENCH_SECONDS", 4),
            rounds: number("BENCH_ROUNDS", 5),
            samples: count(number("BENCH_SAMPLES", 200)),
            connections: number("BENCH_CONNECTIONS", 64),
            stories: number("BENCH_STORIES", 1_000_000),
            pages: count(number("BENCH_PAGES", 400)),
            memory_seconds: number("BENCH_MEMORY_SECONDS", 60),
            limit: Duration::from_secs(60 * number("BENCH_MINUTES", 20)),
            only: std::env::var("BENCH_ONLY").map_or_else(|_| Vec::new(), |text| words(&text)),
        };
        if wrong.is_empty() { Ok(settings) } else { Err(wrong.join("; ")) }
    }

    /// Whether this is the run whose figures are published: all rows, at their full size.
    pub(crate) fn is_whole(&self) -> bool {
        self.only.is_empty() && self.stories >= 1_000_000 && self.memory_seconds >= 60
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
