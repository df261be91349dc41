use std::time::Duration;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Returns true under `make test-faults`.
pub(crate) fn is_full() -> bool {
    std::env::var_os("FAULTS").is_some()
}

/// Returns the number of rounds: `bounded` under `make test`, otherwise `ROUNDS`, or `full` without it.
pub(crate) fn rounds(bounded: u64, full: u64) -> u64 {
    if is_full() { number("ROUNDS").unwrap_or(full) } else { bounded }
}

/// Returns the duration: `bounded` under `make test`, otherwise `SECONDS`, or `full` without it. Both in seconds.
pub(crate) fn duration(bounded: u64, full: u64) -> Duration {
    Duration::from_secs(if is_full() { number("SECONDS").unwrap_or(full) } else { bounded })
}
