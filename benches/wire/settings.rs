use std::path::PathBuf;
use std::time::Duration;

/// The settings of a run. Each is an environment variable; `docs/performance/README.md` lists them.
pub(crate) struct Settings {
    /// The program to measure.
    pub(crate) program: PathBuf,
    /// Duration of one load.
    pub(crate) seconds: u64,
    /// Number of times that subject and ceiling take turns.
    pub(crate) rounds: u64,
    /// Maximum number of requests of a sequential client in a round.
    pub(crate) samples: usize,
    /// Number of connections of a load.
    pub(crate) connections: u64,
    /// Number of stories in the large stores.
    pub(crate) stories: u64,
    /// Number of pages to follow by cursor.
    pub(crate) pages: usize,
    /// Duration of the load before memory is read, in seconds.
    pub(crate) memory_seconds: u64,
    /// Time limit after which no further row starts.
    pub(crate) limit: Duration,
    /// The rows to measure; all if empty.
    pub(crate) only: Vec<String>,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// Lists every invalid variable.
    pub(crate) fn read() -> Result<Self, String> {
        let mut invalid = Vec::new();
        let mut number = |name: &str, default: u64| match std::env::var(name) {
            Err(_) => default,
            Ok(text) => text.trim().parse().ok().filter(|n| *n > 0).unwrap_or_else(|| {
                invalid.push(format!("{name} must be a positive integer"));
                default
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
        if invalid.is_empty() { Ok(settings) } else { Err(invalid.join("; ")) }
    }

    /// Returns true if the run's figures are published: all rows at full size.
    pub(crate) fn is_complete(&self) -> bool {
        self.only.is_empty() && self.stories >= 1_000_000 && self.memory_seconds >= 60
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
