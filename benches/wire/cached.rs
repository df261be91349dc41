//! Rows by `wrk`: what is rendered beside a bare handler, and lists that are never kept.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::bench::{Bench, Engine};
use crate::ceiling::Ceiling;
use crate::client::Client;
use crate::figure::{Measured, Round};
use crate::program::{Program, UNCACHED};
use crate::seed::{Size, html};
use crate::wrk::{Load, load, load_over};

/// Of lists that are never kept: each takes two connections of the driver, whose pool has room for twenty. Who waits
/// for it and hangs up is another matter.
const UNCACHED_CONNECTIONS: u64 = 8;

pub(crate) const LIST: &str = "/stories?limit=10";

pub(crate) fn identity(bench: &Bench) -> Result<Measured, String> {
    beside_ready(bench, LIST, &[])
}

pub(crate) fn brotli(bench: &Bench) -> Result<Measured, String> {
    beside_ready(bench, LIST, &["Accept-Encoding: br"])
}

pub(crate) fn sections(bench: &Bench) -> Result<Measured, String> {
    beside_ready(bench, "/sections", &[])
}

pub(crate) fn not_modified(bench: &Bench) -> Result<Measured, String> {
    let place = bench.store(Engine::Embedded, Size::Few)?;
    let program = Program::start(bench, &place, &[])?;
    let rendered = program.warm(LIST, "")?;
    let tag = rendered.header("etag").ok_or("the list has no tag")?;
    let held = format!("If-None-Match: {tag}");
    let answer = program.client()?.get(LIST, &format!("{held}\r\n"))?.expect(304, LIST)?;
    let ceiling = Ceiling::ready(bench, &answer)?;
    duel(bench, &program.url(LIST), &ceiling.url(LIST), &[&held], bench.settings.connections)
}

/// What is rendered, beside a handler that gives out the same.
fn beside_ready(bench: &Bench, path: &str, headers: &[&str]) -> Result<Measured, String> {
    let place = bench.store(Engine::Embedded, Size::Few)?;
    let program = Program::start(bench, &place, &[])?;
    let lines = headers.iter().fold(String::new(), |lines, header| lines + header + "\r\n");
    let answer = program.warm(path, &lines)?.expect(200, path)?;
    let ceiling = Ceiling::ready(bench, &answer)?;
    duel(bench, &program.url(path), &ceiling.url(path), headers, bench.settings.connections)
}

/// Both in turns; who comes first changes from round to round.
fn duel(
    bench: &Bench,
    subject: &str,
    ceiling: &str,
    headers: &[&str],
    connections: u64,
) -> Result<Measured, String> {
    let run = |url: &str, seconds| load_over(bench, url, headers, seconds, connections);
    // To warm up; on a slow machine nothing may be answered yet, which says nothing of what follows.
    _ = run(subject, 1);
    _ = run(ceiling, 1);
    let (mut rounds, mut bytes) = (Vec::new(), 0.0);
    for round in 0..bench.settings.rounds {
        let seconds = bench.settings.seconds;
        let (of_subject, of_ceiling): (Load, Load) = if round % 2 == 0 {
            let first = run(subject, seconds)?;
            (first, run(ceiling, seconds)?)
        } else {
            let first = run(ceiling, seconds)?;
            (run(subject, seconds)?, first)
        };
        bytes = of_subject.bytes_each;
        if (bytes / of_ceiling.bytes_each - 1.0).abs() > 0.02 {
            return Err(format!("{bytes:.0} bytes are compared with {:.0}", of_ceiling.bytes_each));
        }
        rounds.push(Round { subject: of_subject.per_second, other: Some(of_ceiling.per_second) });
    }
    Ok(Measured { rounds, note: format!("{bytes:.0} bytes with headers") })
}

pub(crate) fn uncached(bench: &Bench) -> Result<Measured, String> {
    let embedded = Program::start(bench, &bench.store(Engine::Embedded, Size::Few)?, UNCACHED)?;
    let mongo = Program::start(bench, &bench.store(Engine::Mongo, Size::Few)?, UNCACHED)?;
    let mut measured = duel(bench, &embedded.url(LIST), &mongo.url(LIST), &[], UNCACHED_CONNECTIONS)?;
    measured.note = format!("{}, {UNCACHED_CONNECTIONS} connections", measured.note);
    Ok(measured)
}

pub(crate) fn beside_writes(bench: &Bench) -> Result<Measured, String> {
    let place = bench.store(Engine::Embedded, Size::Few)?;
    let program = Program::start(bench, &place, &[])?;
    let first = program.warm(LIST, "")?.json()?;
    let id = first["items"][0]["id"].as_str().ok_or("the list is empty")?;
    let title = first["items"][0]["title"].as_str().unwrap_or("A story");
    let (url, seconds) = (program.url(LIST), bench.settings.seconds);
    _ = load(bench, &url, &[], 1);
    let (mut rounds, mut written) = (Vec::new(), 0);
    for round in 0..bench.settings.rounds {
        let mut busy = || -> Result<Load, String> {
            let (over, count) = (AtomicBool::new(false), AtomicU64::new(0));
            let mut client = program.client()?;
            std::thread::scope(|scope| {
                let writer = scope.spawn(|| write(&mut client, (id, title), &over, &count));
                let outcome = load(bench, &url, &[], seconds);
                over.store(true, Ordering::Relaxed);
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

/// Twenty writes a second to one story, of which every one changes the list.
fn write(
    client: &mut Client,
    (id, title): (&str, &str),
    over: &AtomicBool,
    count: &AtomicU64,
) -> Result<(), String> {
    let path = format!("/stories/{id}");
    let began = Instant::now();
    let mut n = 0;
    while !over.load(Ordering::Relaxed) {
        let body = serde_json::json!({ "title": title, "content": html(n, 5000), "is_published": true });
        client.write("PUT", &path, &body)?.expect(200, &path)?;
        count.fetch_add(1, Ordering::Relaxed);
        n += 1;
        let due = Duration::from_millis(50) * u32::try_from(n).unwrap_or(u32::MAX);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
    }
    Ok(())
}
