//! Rows about memory and starts.

use std::time::{Duration, Instant};

use crate::bench::{Bench, Engine};
use crate::cached::LIST;
use crate::figure::{Measured, Round};
use crate::program::Program;
use crate::seed::Size;
use crate::sequential::milliseconds;
use crate::wrk::load;

/// So many starts for each round that others have.
const STARTS: u64 = 3;

fn one(value: f64, note: impl Into<String>) -> Measured {
    Measured { rounds: vec![Round { subject: value, other: None }], note: note.into() }
}

pub(crate) fn idle(bench: &Bench) -> Result<Measured, String> {
    let place = bench.store(Engine::Embedded, Size::Few)?;
    let mut rounds = Vec::new();
    for _ in 0..bench.settings.rounds {
        let program = Program::start(bench, &place, &[])?;
        std::thread::sleep(Duration::from_secs(2));
        rounds.push(Round { subject: program.resident_mib()?, other: None });
    }
    Ok(Measured { rounds, note: "two seconds after the start".to_owned() })
}

pub(crate) fn after_load(bench: &Bench) -> Result<Measured, String> {
    let program = Program::start(bench, &bench.store(Engine::Embedded, Size::Few)?, &[])?;
    let seconds = bench.settings.memory_seconds;
    let done = load(bench, &program.url(LIST), &[], seconds)?;
    Ok(one(program.resident_mib()?, format!("{seconds} s, {:.0} requests/s", done.per_second)))
}

pub(crate) fn with_many(bench: &Bench) -> Result<Measured, String> {
    let program = Program::start(bench, &bench.store(Engine::Embedded, Size::Million)?, &[])?;
    let mut client = program.client()?;
    let (began, mut pages) = (Instant::now(), 0);
    while pages < 20 && began.elapsed() < Duration::from_secs(30) {
        let path = format!("/stories?limit=50&offset={}", pages * 50);
        client.get(&path, "")?.expect(200, &path)?;
        pages += 1;
    }
    Ok(one(program.resident_mib()?, format!("after {pages} pages of fifty")))
}

pub(crate) fn start(bench: &Bench, size: Size) -> Result<Measured, String> {
    let place = bench.store(Engine::Embedded, size)?;
    // What seeding left in the journal is put in its place by the first start after it.
    Program::start_free(bench, &place)?.end();
    let mut rounds = Vec::new();
    for _ in 0..STARTS * bench.settings.rounds {
        let program = Program::start_free(bench, &place)?;
        rounds.push(Round { subject: milliseconds(program.started), other: None });
        program.end();
    }
    Ok(Measured { rounds, note: "on both cores".to_owned() })
}
