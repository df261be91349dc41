//! Rows about a second process: the delay until another process serves what this one has written.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::bench::{Bench, StoreKind};
use crate::cached::LIST;
use crate::figure::{Measured, Round, percentile};
use crate::program::Program;
use crate::seed::{Size, html};
use crate::sequential::{is_over, milliseconds};

/// Deadline for a write to become visible.
const GIVE_UP: Duration = Duration::from_secs(20);

/// Measures from the response to a write in one process until the other process serves a list with it. The other one
/// is polled without a pause, so that its list is cached whenever a write happens.
pub(crate) fn visibility(bench: &Bench, kind: StoreKind) -> Result<Measured, String> {
    let location = bench.store(kind, Size::Few)?;
    let programs = [Program::start(bench, &location, &[])?, Program::start(bench, &location, &[])?];
    let [mut writer, mut reader] = [programs[0].client()?, programs[1].client()?];
    programs[1].warm(LIST, "")?;
    let first = writer.get(LIST, "")?.expect(200, LIST)?.json()?;
    let id = first["items"][0]["id"].as_str().ok_or("the list is empty")?;
    let path = format!("/stories/{id}");
    let (mut rounds, mut n, mut stale) = (Vec::new(), 0, 0_u64);
    for _ in 0..bench.settings.rounds {
        let mut took = Vec::new();
        let began = Instant::now();
        while took.len() < bench.settings.samples && !is_over(bench, began) {
            n += 1;
            let title = format!("Seen elsewhere, number {n}");
            let body = json!({ "title": title, "content": html(n, 5000), "is_published": true });
            writer.write("PUT", &path, &body)?.expect(200, &path)?;
            let written = Instant::now();
            while reader.get(LIST, "")?.expect(200, LIST)?.json()?["items"][0]["title"] != title {
                stale += 1;
                if written.elapsed() > GIVE_UP {
                    return Err(format!("not visible in the other process after {} s", GIVE_UP.as_secs()));
                }
            }
            took.push(milliseconds(written.elapsed()));
        }
        rounds.push(Round { subject: percentile(took, 99)?, other: None });
    }
    Ok(Measured { rounds, note: format!("{n} writes; {stale} reads before they were visible") })
}
