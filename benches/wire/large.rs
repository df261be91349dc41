//! Rows about large stores: uncached pages, and the first page after a write.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::bench::{Bench, StoreKind};
use crate::cached::LIST;
use crate::client::{Client, next_page};
use crate::figure::{Measured, Round, percentile};
use crate::program::{Program, UNCACHED};
use crate::seed::{Size, html};
use crate::sequential::{is_over, milliseconds};

/// Time limit for following cursors; the depth reached by then is sufficient.
const LONGEST_WALK: Duration = Duration::from_secs(30);

/// Starts a program without a cache on the large store and one on the small store.
fn both(bench: &Bench, kind: StoreKind) -> Result<[Program; 2], String> {
    let program = |size| Program::start(bench, &bench.store(kind, size)?, UNCACHED);
    Ok([program(Size::Million)?, program(Size::Thousand)?])
}

pub(crate) fn first_page(bench: &Bench, kind: StoreKind) -> Result<Measured, String> {
    let [large, small] = both(bench, kind)?;
    let mut clients = [large.client()?, small.client()?];
    let total = clients[0].get(LIST, "")?.expect(200, LIST)?.json()?["total"].as_u64();
    if total.is_none_or(|total| total < bench.settings.stories) {
        return Err(format!("{} stories are stored, and total is {total:?}", bench.settings.stories));
    }
    let rounds = pages(bench, &mut clients, [LIST, LIST])?;
    Ok(Measured { rounds, note: String::new() })
}

/// Sends sequential requests to both in turns.
fn pages(bench: &Bench, clients: &mut [Client; 2], paths: [&str; 2]) -> Result<Vec<Round>, String> {
    let mut rounds = Vec::new();
    for _ in 0..bench.settings.rounds {
        let mut took = [Vec::new(), Vec::new()];
        let began = Instant::now();
        while took[0].len() < bench.settings.samples && !is_over(bench, began) {
            for (side, client) in clients.iter_mut().enumerate() {
                let answer = client.get(paths[side], "")?.expect(200, paths[side])?;
                took[side].push(milliseconds(answer.took));
            }
        }
        let [large, small] = took;
        rounds.push(Round { subject: percentile(large, 50)?, other: Some(percentile(small, 50)?) });
    }
    Ok(rounds)
}

pub(crate) fn by_cursor(bench: &Bench, kind: StoreKind) -> Result<Measured, String> {
    let [large, small] = both(bench, kind)?;
    let mut clients = [large.client()?, small.client()?];
    let (deep, stories) = walk(&mut clients[0], bench.settings.pages)?;
    let (shallow, _) = walk(&mut clients[1], 10)?;
    let rounds = pages(bench, &mut clients, [&deep, &shallow])?;
    Ok(Measured { rounds, note: format!("{stories} stories deep") })
}

/// Follows the links to the next pages of fifty. Returns the path of a page of ten stories there and the number of
/// stories before it.
fn walk(client: &mut Client, pages: usize) -> Result<(String, usize), String> {
    let mut path = "/stories?limit=50&cursor=".to_owned();
    let began = Instant::now();
    let mut passed = 0;
    let mut last = String::new();
    for page in 0..pages {
        let answer = client.get(&path, "")?;
        if page == 0 && answer.status != 200 {
            return Err(format!("`?cursor=` returned {}", answer.status));
        }
        let answer = answer.expect(200, &path)?;
        let items = answer.json()?;
        let items = items["items"].as_array().ok_or("a page has no items")?;
        let first = items.first().map(|item| item["id"].to_string()).unwrap_or_default();
        if page > 0 && first == last {
            return Err("the next page is the same page".to_owned());
        }
        last = first;
        let Some(next) = next_page(&answer) else { break };
        if !is_cursor(&next) {
            return Err("the link to the next page has no cursor".to_owned());
        }
        passed += items.len();
        path = next;
        if began.elapsed() > LONGEST_WALK {
            break;
        }
    }
    // The cursor is a position, so it is valid with another page length too.
    let ten = path.replace("limit=50", "limit=10");
    let path = if client.get(&ten, "")?.status == 200 { ten } else { path };
    Ok((path, passed))
}

/// Returns true if a path has a cursor; an empty one addresses the first page.
fn is_cursor(path: &str) -> bool {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|pair| pair.strip_prefix("cursor=").is_some_and(|cursor| !cursor.is_empty()))
}

pub(crate) fn after_write(bench: &Bench, kind: StoreKind) -> Result<Measured, String> {
    let program = Program::start(bench, &bench.store(kind, Size::Million)?, &[])?;
    let mut client = program.client()?;
    let total = |client: &mut Client| {
        let answer = client.get(LIST, "")?.expect(200, LIST)?;
        let total = answer.json()?["total"].as_u64().ok_or("the list has no total")?;
        Ok::<_, String>((answer.took, total))
    };
    let (_, mut before) = total(&mut client)?;
    let (mut rounds, mut n) = (Vec::new(), 0);
    for _ in 0..bench.settings.rounds {
        let mut took = Vec::new();
        let began = Instant::now();
        while took.len() < bench.settings.samples && !is_over(bench, began) {
            n += 1;
            let title = format!("After a write, number {n} of {before}");
            let body = json!({ "title": title, "content": html(n, 300), "is_published": true });
            client.write("POST", "/stories", &body)?.expect(201, "POST /stories")?;
            let (read, now) = total(&mut client)?;
            if now != before + 1 {
                return Err(format!("total is {now} after a write to {before} stories"));
            }
            before = now;
            took.push(milliseconds(read));
        }
        rounds.push(Round { subject: percentile(took, 99)?, other: None });
    }
    Ok(Measured { rounds, note: format!("{n} writes") })
}
