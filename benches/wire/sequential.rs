//! Rows by the sequential client: rendering anew, and creating, beside the bare driver.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::bench::{Bench, Engine};
use crate::cached::LIST;
use crate::ceiling::Ceiling;
use crate::figure::{Measured, Round, percentile};
use crate::program::{Place, Program};
use crate::seed::{Size, html};

pub(crate) fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

/// The program and the bare driver, on one database.
fn on_mongo(bench: &Bench) -> Result<(Program, Ceiling), String> {
    let place = bench.store(Engine::Mongo, Size::Few)?;
    let Place::Mongo(uri, database) = &place else { return Err("this is no MongoDB".to_owned()) };
    Ok((Program::start(bench, &place, &[])?, Ceiling::driver(bench, uri, database)?))
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
        return Err(format!("{length} bytes are compared with {other}"));
    }
    let (mut rounds, mut hits, mut n) = (Vec::new(), 0, 0);
    for _ in 0..bench.settings.rounds {
        let (mut of_subject, mut of_ceiling) = (Vec::new(), Vec::new());
        let began = Instant::now();
        while of_subject.len() < bench.settings.samples && !is_over(bench, began) {
            n += 1;
            let body = json!({ "title": title, "content": html(n, 5000), "is_published": true });
            client.write("PUT", &path, &body)?.expect(200, &path)?;
            if n % 2 == 0 {
                of_ceiling.push(milliseconds(bare.get("/stories", "")?.expect(200, "the bare find")?.took));
            }
            let read = client.get(LIST, "")?.expect(200, LIST)?;
            if n % 2 == 1 {
                of_ceiling.push(milliseconds(bare.get("/stories", "")?.expect(200, "the bare find")?.took));
            }
            // A read that was answered from the shelf would be a fault in the program, not a quick one.
            let hit = read.header("cache-status").is_none_or(|told| told.contains("hit"));
            hits += u32::from(hit);
            of_subject.push(milliseconds(read.took));
        }
        rounds.push(Round { subject: percentile(of_subject, 50)?, other: Some(percentile(of_ceiling, 50)?) });
    }
    if hits > 0 {
        return Err(format!("{hits} reads after a write were answered from the shelf"));
    }
    Ok(Measured { rounds, note: format!("{n} writes") })
}

pub(crate) fn create(bench: &Bench) -> Result<Measured, String> {
    let (program, ceiling) = on_mongo(bench)?;
    let (mut client, mut bare) = (program.client()?, ceiling.client()?);
    let (mut rounds, mut n) = (Vec::new(), 0);
    for round in 0..bench.settings.rounds {
        let (mut of_subject, mut of_ceiling) = (Vec::new(), Vec::new());
        let began = Instant::now();
        while of_subject.len() < bench.settings.samples && !is_over(bench, began) {
            n += 1;
            let title = format!("Made in round {round} as number {n}");
            // Drafts, so that the list of the other rows stays what it is.
            let body = json!({ "title": title, "content": html(n, 5000), "is_published": false });
            let mut of_bare = || bare.write("POST", "/stories", &body)?.expect(201, "the bare insert");
            if n % 2 == 0 {
                of_ceiling.push(milliseconds(of_bare()?.took));
                of_subject
                    .push(milliseconds(client.write("POST", "/stories", &body)?.expect(201, "POST")?.took));
            } else {
                of_subject
                    .push(milliseconds(client.write("POST", "/stories", &body)?.expect(201, "POST")?.took));
                of_ceiling.push(milliseconds(of_bare()?.took));
            }
        }
        rounds.push(Round { subject: percentile(of_subject, 50)?, other: Some(percentile(of_ceiling, 50)?) });
    }
    Ok(Measured { rounds, note: format!("{n} of each, 5 kB, write concern majority and journal") })
}

/// A round of sequential requests may take as long as two loads do.
pub(crate) fn is_over(bench: &Bench, began: Instant) -> bool {
    began.elapsed() > Duration::from_secs(2 * bench.settings.seconds)
}
