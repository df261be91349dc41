//! Rows about reactions and comments.

use std::time::Instant;

use serde_json::{Value, json};

use crate::bench::{Bench, StoreKind};
use crate::cached::compare_with_fixed;
use crate::ceiling::Ceiling;
use crate::client::Client;
use crate::figure::{Measured, Round, percentile};
use crate::program::{Location, Program};
use crate::seed::Size;
use crate::sequential::{is_over, milliseconds};

/// Returns the ids of the stories in the store.
fn stories(client: &mut Client) -> Result<Vec<String>, String> {
    let list = client.get("/stories?limit=50", "")?.expect(200, "the list")?.json()?;
    let items = list["items"].as_array().ok_or("no list")?;
    Ok(items.iter().filter_map(|item| Some(item["id"].as_str()?.to_owned())).collect())
}

pub(crate) fn comments(bench: &Bench) -> Result<Measured, String> {
    let location = bench.store(StoreKind::Embedded, Size::Discussed)?;
    let program = Program::start(bench, &location, &[])?;
    let mut client = program.client()?;
    let mut longest = None;
    for story in stories(&mut client)? {
        let path = format!("/api/engagement/story/{story}/comments");
        let comments = client.get(&path, "")?.expect(200, &path)?.json()?;
        let count = comments["comments"].as_array().map_or(0, Vec::len);
        if count == 200 {
            longest = Some(path);
        }
    }
    program.stop();
    let path = longest.ok_or("no story has 200 comments")?;
    compare_with_fixed(bench, StoreKind::Embedded, Size::Discussed, &path, &[])
}

pub(crate) fn counts(bench: &Bench, kind: StoreKind) -> Result<Measured, String> {
    let location = bench.store(kind, Size::Discussed)?;
    let program = Program::start(bench, &location, &[])?;
    let mut client = program.client()?;
    let targets: Vec<Value> =
        stories(&mut client)?.into_iter().map(|id| json!({ "type": "story", "id": id })).collect();
    let body = json!({ "targets": targets });
    let path = "/api/engagement/bulk/counts";
    // The first request counts what was never counted.
    let first = client.write("POST", path, &body)?.expect(200, path)?.json()?;
    let counted: i64 = first["counts"]
        .as_object()
        .into_iter()
        .flat_map(|counts| counts.values())
        .filter_map(|counts| counts["reactions"].as_object())
        .flat_map(|reactions| reactions.values().filter_map(Value::as_i64))
        .sum();
    if counted != 100_000 {
        return Err(format!("{counted} reactions are counted"));
    }
    let ceiling = Ceiling::counts(bench, &location)?;
    let mut bare = ceiling.client()?;
    let found = bare.get("/counts", "")?.expect(200, "the bare find")?.json()?;
    if found.as_array().map_or(0, Vec::len) != 50 {
        return Err("the bare find does not return 50 documents".to_owned());
    }
    let subject = |client: &mut Client| client.write("POST", path, &body)?.expect(200, path);
    let measured = in_turn(
        bench,
        || Ok(milliseconds(subject(&mut client)?.took)),
        || Ok(milliseconds(bare.get("/counts", "")?.expect(200, "the bare find")?.took)),
    )?;
    Ok(Measured { note: "50 targets, 100,000 reactions".to_owned(), ..measured })
}

pub(crate) fn toggle(bench: &Bench) -> Result<Measured, String> {
    let location = bench.store(StoreKind::Mongo, Size::Discussed)?;
    let Location::Mongo(uri, database) = &location else { return Err("not a MongoDB store".to_owned()) };
    let program = Program::start(bench, &location, &[])?;
    let ceiling = Ceiling::driver(bench, uri, database)?;
    let (mut client, mut bare) = (program.client()?, ceiling.client()?);
    let story = stories(&mut client)?.into_iter().next().ok_or("there is no story")?;
    let path = format!("/api/engagement/story/{story}/reactions");
    let body = json!({ "reaction_tag": "heart" });
    let measured = in_turn(
        bench,
        || Ok(milliseconds(client.write("POST", &path, &body)?.expect(200, &path)?.took)),
        || Ok(milliseconds(bare.write("POST", "/reactions", &body)?.expect(200, "the bare upsert")?.took)),
    )?;
    Ok(Measured { note: "write concern majority and journal".to_owned(), ..measured })
}

/// Measures two requests by turns, each in milliseconds.
fn in_turn(
    bench: &Bench,
    mut subject: impl FnMut() -> Result<f64, String>,
    mut ceiling: impl FnMut() -> Result<f64, String>,
) -> Result<Measured, String> {
    let mut rounds = Vec::new();
    for _ in 0..bench.settings.rounds {
        let (mut subject_times, mut ceiling_times) = (Vec::new(), Vec::new());
        let began = Instant::now();
        while subject_times.len() < bench.settings.samples && !is_over(bench, began) {
            if subject_times.len() % 2 == 0 {
                subject_times.push(subject()?);
                ceiling_times.push(ceiling()?);
            } else {
                ceiling_times.push(ceiling()?);
                subject_times.push(subject()?);
            }
        }
        rounds.push(Round {
            subject: percentile(subject_times, 50)?,
            other: Some(percentile(ceiling_times, 50)?),
        });
    }
    Ok(Measured { rounds, note: String::new() })
}
