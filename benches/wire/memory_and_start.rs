//! Rows about memory and start-up.

use std::time::{Duration, Instant};

use crate::bench::{Bench, StoreKind};
use crate::cached::LIST;
use crate::figure::{Measured, Round};
use crate::program::Program;
use crate::seed::Size;
use crate::sequential::milliseconds;
use crate::wrk::load;

/// Starts for each round of the other rows.
const STARTS_PER_ROUND: u64 = 3;

fn single(value: f64, note: impl Into<String>) -> Measured {
    Measured { rounds: vec![Round { subject: value, other: None }], note: note.into() }
}

pub(crate) fn idle(bench: &Bench) -> Result<Measured, String> {
    let location = bench.store(StoreKind::Embedded, Size::Few)?;
    let mut rounds = Vec::new();
    for _ in 0..bench.settings.rounds {
        let program = Program::start(bench, &location, &[])?;
        std::thread::sleep(Duration::from_secs(2));
        rounds.push(Round { subject: program.resident_mib()?, other: None });
    }
    Ok(Measured { rounds, note: "two seconds after the start".to_owned() })
}

pub(crate) fn after_load(bench: &Bench) -> Result<Measured, String> {
    let program = Program::start(bench, &bench.store(StoreKind::Embedded, Size::Few)?, &[])?;
    let seconds = bench.settings.memory_seconds;
    let done = load(bench, &program.url(LIST), &[], seconds)?;
    Ok(single(program.resident_mib()?, format!("{seconds} s, {:.0} requests/s", done.per_second)))
}

pub(crate) fn with_many(bench: &Bench) -> Result<Measured, String> {
    let program = Program::start(bench, &bench.store(StoreKind::Embedded, Size::Million)?, &[])?;
    let mut client = program.client()?;
    let (began, mut pages) = (Instant::now(), 0);
    while pages < 20 && began.elapsed() < Duration::from_secs(30) {
        let path = format!("/stories?limit=50&offset={}", pages * 50);
        client.get(&path, "")?.expect(200, &path)?;
        pages += 1;
    }
    Ok(single(program.resident_mib()?, format!("after {pages} pages of fifty")))
}

pub(crate) fn start(bench: &Bench, size: Size) -> Result<Measured, String> {
    let location = bench.store(StoreKind::Embedded, size)?;
    // The first start after seeding checkpoints the journal.
    Program::start_unpinned(bench, &location)?.stop();
    let mut rounds = Vec::new();
    for _ in 0..STARTS_PER_ROUND * bench.settings.rounds {
        let program = Program::start_unpinned(bench, &location)?;
        rounds.push(Round { subject: milliseconds(program.start_time), other: None });
        program.stop();
    }
    Ok(Measured { rounds, note: "on both cores".to_owned() })
}
