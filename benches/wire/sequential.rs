//! Rows measured by the sequential client: reads after a write, and creates, compared with the bare driver.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::bench::{Bench, StoreKind};
use crate::cached::LIST;
use crate::ceiling::Ceiling;
use crate::figure::{Measured, Round, percentile};
use crate::program::{Location, Program};
use crate::seed::{Size, html};

pub(crate) fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

/// Starts the program and the bare driver on one database.
fn on_mongo(bench: &Bench) -> Result<(Program, Ceiling), String> {
    let location = bench.store(StoreKind::Mongo, Size::Few)?;
    let Location::Mongo(uri, database) = &location else { return Err("not a MongoDB store".to_owned()) };
    Ok((Program::start(bench, &location, &[])?, Ceiling::driver(bench, uri, database)?))
}

pub(crate) fn rendering(bench: &Bench) -> Result<Measured, String> {
    let (program, ceiling) = on_mongo(bench)?;
    let (mut client, mut bare) = (program.client()?, ceiling.client()?);
    let first = client.get(LIST, "")?.expect(200, LIST)?;
    let length = first.body.len();
    let first = first.json()?;
    let id = first["items"][0]["id"].as_str().ok_or("the list is empty")?;
    let path = format!("/stories/{id}");
    let title = first["items"][0]["title"].as_str().unwrap_or("A story");
    let other = bare.get("/stories", "")?.expect(200, "the bare find")?.body.len();
    if other.abs_diff(length) > length / 50 {
        return Err(format!("the responses differ in size: {length} and {other} bytes"));
    }
    let (mut rounds, mut hits, mut n) = (Vec::new(), 0, 0);
    for _ in 0..bench.settings.rounds {
        let (mut subject_times, mut ceiling_times) = (Vec::new(), Vec::new());
        let began = Instant::now();
        while subject_times.len() < bench.settings.samples && !is_over(bench, began) {
            n += 1;
            let body = json!({ "title": title, "content": html(n, 5000), "is_published": true });
            client.write("PUT", &path, &body)?.expect(200, &path)?;
            if n % 2 == 0 {
                ceiling_times
                    .push(milliseconds(bare.get("/stories", "")?.expect(200, "the bare find")?.took));
            }
            let read = client.get(LIST, "")?.expect(200, LIST)?;
            if n % 2 == 1 {
                ceiling_times
                    .push(milliseconds(bare.get("/stories", "")?.expect(200, "the bare find")?.took));
            }
            // A cache hit after a write would be a defect of the program, not a fast response.
            let hit = read.header("cache-status").is_none_or(|status| status.contains("hit"));
            hits += u32::from(hit);
            subject_times.push(milliseconds(read.took));
        }
        rounds.push(Round {
            subject: percentile(subject_times, 50)?,
            other: Some(percentile(ceiling_times, 50)?),
        });
    }
    if hits > 0 {
        return Err(format!("{hits} reads after a write were cache hits"));
    }
    Ok(Measured { rounds, note: format!("{n} writes") })
}

pub(crate) fn create(bench: &Bench) -> Result<Measured, String> {
    let (program, ceiling) = on_mongo(bench)?;
    let (mut client, mut bare) = (program.client()?, ceiling.client()?);
    let (mut rounds, mut n) = (Vec::new(), 0);
    for round in 0..bench.settings.rounds {
        let (mut subject_times, mut ceiling_times) = (Vec::new(), Vec::new());
        let began = Instant::now();
        while subject_times.len() < bench.settings.samples && !is_over(bench, began) {
            n += 1;
            let title = format!("Made in round {round} as number {n}");
            // Drafts, so that the list of the other rows does not change.
            let body = json!({ "title": title, "content": html(n, 5000), "is_published": false });
            let mut bare_insert = || bare.write("POST", "/stories", &body)?.expect(201, "the bare insert");
            if n % 2 == 0 {
                ceiling_times.push(milliseconds(bare_insert()?.took));
                subject_times
                    .push(milliseconds(client.write("POST", "/stories", &body)?.expect(201, "POST")?.took));
            } else {
                subject_times
                    .push(milliseconds(client.write("POST", "/stories", &body)?.expect(201, "POST")?.took));
                ceiling_times.push(milliseconds(bare_insert()?.took));
            }
        }
        rounds.push(Round {
            subject: percentile(subject_times, 50)?,
            other: Some(percentile(ceiling_times, 50)?),
        });
    }
    Ok(Measured { rounds, note: format!("{n} of each, 5 kB, write concern majority and journal") })
}

/// Returns true when a round of sequential requests has taken twice as long as a load.
pub(crate) fn is_over(bench: &Bench, began: Instant) -> bool {
    began.elapsed() > Duration::from_secs(2 * bench.settings.seconds)
}
