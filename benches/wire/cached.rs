//! Rows measured by `wrk`: cached responses compared with a bare handler, and uncached lists.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::bench::{Bench, StoreKind};
use crate::ceiling::Ceiling;
use crate::client::Client;
use crate::figure::{Measured, Round};
use crate::program::{Program, UNCACHED};
use crate::seed::{Size, html};
use crate::wrk::{Load, load, load_over};

/// Connections for uncached lists: each request takes two of the driver's twenty pooled connections, so more clients
/// would measure waiting for the pool.
const UNCACHED_CONNECTIONS: u64 = 8;

pub(crate) const LIST: &str = "/stories?limit=10";

pub(crate) fn identity(bench: &Bench) -> Result<Measured, String> {
    compare_with_fixed(bench, StoreKind::Embedded, Size::Few, LIST, &[])
}

pub(crate) fn brotli(bench: &Bench) -> Result<Measured, String> {
    compare_with_fixed(bench, StoreKind::Embedded, Size::Few, LIST, &["Accept-Encoding: br"])
}

pub(crate) fn sections(bench: &Bench) -> Result<Measured, String> {
    compare_with_fixed(bench, StoreKind::Embedded, Size::Few, "/sections", &[])
}

pub(crate) fn not_modified(bench: &Bench) -> Result<Measured, String> {
    let location = bench.store(StoreKind::Embedded, Size::Few)?;
    let program = Program::start(bench, &location, &[])?;
    let rendered = program.warm(LIST, "")?;
    let tag = rendered.header("etag").ok_or("the list has no tag")?;
    let if_none_match = format!("If-None-Match: {tag}");
    let answer = program.client()?.get(LIST, &format!("{if_none_match}\r\n"))?.expect(304, LIST)?;
    let ceiling = Ceiling::fixed(bench, &answer)?;
    compare(bench, &program.url(LIST), &ceiling.url(LIST), &[&if_none_match], bench.settings.connections)
}

/// Compares a cached response with a bare handler that returns the same bytes.
pub(crate) fn compare_with_fixed(
    bench: &Bench,
    kind: StoreKind,
    size: Size,
    path: &str,
    headers: &[&str],
) -> Result<Measured, String> {
    let location = bench.store(kind, size)?;
    let program = Program::start(bench, &location, &[])?;
    let lines = headers.iter().fold(String::new(), |lines, header| lines + header + "\r\n");
    let answer = program.warm(path, &lines)?.expect(200, path)?;
    let ceiling = Ceiling::fixed(bench, &answer)?;
    compare(bench, &program.url(path), &ceiling.url(path), headers, bench.settings.connections)
}

/// Loads both in turns; the order alternates from round to round.
pub(crate) fn compare(
    bench: &Bench,
    subject: &str,
    ceiling: &str,
    headers: &[&str],
    connections: u64,
) -> Result<Measured, String> {
    let run = |url: &str, seconds| load_over(bench, url, headers, seconds, connections);
    // Warm-up: a slow machine may not complete a single request yet, so failures are ignored.
    _ = run(subject, 1);
    _ = run(ceiling, 1);
    let (mut rounds, mut bytes) = (Vec::new(), 0.0);
    for round in 0..bench.settings.rounds {
        let seconds = bench.settings.seconds;
        let (subject_load, ceiling_load): (Load, Load) = if round % 2 == 0 {
            let first = run(subject, seconds)?;
            (first, run(ceiling, seconds)?)
        } else {
            let first = run(ceiling, seconds)?;
            (run(subject, seconds)?, first)
        };
        bytes = subject_load.bytes_each;
        if (bytes / ceiling_load.bytes_each - 1.0).abs() > 0.02 {
            return Err(format!(
                "the responses differ in size: {bytes:.0} and {:.0} bytes",
                ceiling_load.bytes_each
            ));
        }
        rounds.push(Round { subject: subject_load.per_second, other: Some(ceiling_load.per_second) });
    }
    Ok(Measured { rounds, note: format!("{bytes:.0} bytes with headers") })
}

pub(crate) fn uncached(bench: &Bench) -> Result<Measured, String> {
    let embedded = Program::start(bench, &bench.store(StoreKind::Embedded, Size::Few)?, UNCACHED)?;
    let mongo = Program::start(bench, &bench.store(StoreKind::Mongo, Size::Few)?, UNCACHED)?;
    let mut measured = compare(bench, &embedded.url(LIST), &mongo.url(LIST), &[], UNCACHED_CONNECTIONS)?;
    measured.note = format!("{}, {UNCACHED_CONNECTIONS} connections", measured.note);
    Ok(measured)
}

pub(crate) fn during_writes(bench: &Bench) -> Result<Measured, String> {
    let location = bench.store(StoreKind::Embedded, Size::Few)?;
    let program = Program::start(bench, &location, &[])?;
    let first = program.warm(LIST, "")?.json()?;
    let id = first["items"][0]["id"].as_str().ok_or("the list is empty")?;
    let title = first["items"][0]["title"].as_str().unwrap_or("A story");
    let (url, seconds) = (program.url(LIST), bench.settings.seconds);
    _ = load(bench, &url, &[], 1);
    let (mut rounds, mut written) = (Vec::new(), 0);
    for round in 0..bench.settings.rounds {
        let mut busy = || -> Result<Load, String> {
            let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
            let mut client = program.client()?;
            std::thread::scope(|scope| {
                let writer = scope.spawn(|| write(&mut client, (id, title), &stop, &count));
                let outcome = load(bench, &url, &[], seconds);
                stop.store(true, Ordering::Relaxed);
                writer.join().map_err(|_| "the writer panicked".to_owned())??;
                written += count.load(Ordering::Relaxed);
                outcome
            })
        };
        let quiet = || load(bench, &url, &[], seconds);
        let (with, without) = if round % 2 == 0 {
            let without = quiet()?;
            (busy()?, without)
        } else {
            (busy()?, quiet()?)
        };
        rounds.push(Round { subject: with.p99_ms, other: Some(without.p99_ms) });
    }
    let wanted = bench.settings.rounds * seconds * 20;
    Ok(Measured { rounds, note: format!("{written} of {wanted} writes were made") })
}

/// Updates one story twenty times a second; each write changes the list.
fn write(
    client: &mut Client,
    (id, title): (&str, &str),
    stop: &AtomicBool,
    count: &AtomicU64,
) -> Result<(), String> {
    let path = format!("/stories/{id}");
    let began = Instant::now();
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        let body = serde_json::json!({ "title": title, "content": html(n, 5000), "is_published": true });
        client.write("PUT", &path, &body)?.expect(200, &path)?;
        count.fetch_add(1, Ordering::Relaxed);
        n += 1;
        let due = Duration::from_millis(50) * u32::try_from(n).unwrap_or(u32::MAX);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
    }
    Ok(())
}
