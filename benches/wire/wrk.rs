use std::process::{Command, Stdio};

use crate::bench::Bench;
use crate::cleanup::ManagedChild;

/// The result of a load.
pub(crate) struct Load {
    pub(crate) per_second: f64,
    pub(crate) p99_ms: f64,
    pub(crate) bytes_each: f64,
}

/// Returns true if `wrk` is installed.
pub(crate) fn is_installed() -> bool {
    // `wrk -v` prints the version and exits with a failure, so only the spawn counts.
    Command::new("wrk").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Sends requests as fast as they are answered, for the given number of seconds.
pub(crate) fn load(bench: &Bench, url: &str, headers: &[&str], seconds: u64) -> Result<Load, String> {
    load_over(bench, url, headers, seconds, bench.settings.connections)
}

/// Like [`load`], over the given number of connections.
pub(crate) fn load_over(
    bench: &Bench,
    url: &str,
    headers: &[&str],
    seconds: u64,
    connections: u64,
) -> Result<Load, String> {
    let script = bench.folder.path().join("wrk.lua");
    std::fs::write(&script, include_str!("wrk.lua"))
        .map_err(|error| format!("failed to write the script: {error}"))?;
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s")]);
    command.args(["--timeout", "20s"]).arg("-s").arg(script);
    for header in headers {
        command.args(["-H", header]);
    }
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let child = command.spawn().map_err(|error| format!("failed to start wrk: {error}"))?;
    let mut process = ManagedChild::new(child);
    let mut output = String::new();
    if let Some(out) = process.child().stdout.as_mut() {
        std::io::Read::read_to_string(out, &mut output).map_err(|error| format!("wrk: {error}"))?;
    }
    let line = output.lines().find_map(|line| line.strip_prefix("WIRE "));
    let line = line.ok_or_else(|| format!("wrk printed no figures: {}", output.trim()))?;
    let figure = |name: &str| -> Result<f64, String> {
        let word = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        word.and_then(|word| word.parse().ok()).ok_or_else(|| format!("wrk printed no {name}: {line}"))
    };
    let (requests, failed) = (figure("requests")?, figure("failed")?);
    if requests < 1.0 {
        return Err(format!("{url}: no response within {seconds} s"));
    }
    if failed > requests / 1000.0 {
        return Err(format!("{url}: {failed} of {requests} requests failed"));
    }
    Ok(Load {
        per_second: requests / (figure("microseconds")? / 1e6),
        p99_ms: figure("p99")? / 1000.0,
        bytes_each: figure("bytes")? / requests,
    })
}
