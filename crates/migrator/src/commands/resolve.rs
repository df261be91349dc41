use std::collections::BTreeSet;

use crate::ledger::LedgerSnapshot;
use crate::{Error, Migrator, Result, Source, State, nearest};

/// Number of similar ids that an error suggests.
const SUGGESTIONS: usize = 3;

/// Returns the id with this prefix, of a migration that the program knows or that the ledger names.
pub(crate) fn resolve_in(m: &Migrator, snapshot: &LedgerSnapshot, prefix: &str) -> Result<String> {
    let ids = m.graph.ids().chain(snapshot.entries.keys().map(String::as_str)).collect();
    unique_id(prefix, &ids).map(str::to_owned)
}

/// Returns the position of the known migration whose id has this prefix.
pub(super) fn position(m: &Migrator, prefix: &str) -> Result<usize> {
    let id = unique_id(prefix, &m.graph.ids().collect())?;
    Ok(m.dag().position(id).expect("the id is one of the graph's"))
}

/// Refuses a migration that is not applied. `action` is what was asked for.
pub(super) fn require_applied(
    m: &Migrator,
    snapshot: &LedgerSnapshot,
    at: usize,
    action: &'static str,
) -> Result<()> {
    let (id, state) = (m.id(at).to_owned(), snapshot.state(m.id(at)));
    if state == Some(State::Applied) {
        return Ok(());
    }
    let next = "run `field-notes migrate status` to see what is applied".to_owned();
    Err(Error::WrongState { id, state, action, required: "is applied", next })
}

/// Returns the reason, trimmed.
pub(super) fn required_reason(reason: &str) -> Result<&str> {
    let reason = reason.trim();
    if reason.is_empty() { Err(Error::ReasonRequired) } else { Ok(reason) }
}

/// Returns the id of the run with this prefix, of the runs that applied something that is still applied.
pub(super) fn run_with_prefix(snapshot: &LedgerSnapshot, prefix: &str) -> Result<String> {
    let present =
        snapshot.entries.values().filter(|e| e.source == Source::Native && e.state != State::RolledBack);
    let runs: BTreeSet<&String> = present.filter_map(|entry| entry.applied_run.as_ref()).collect();
    let candidates = runs.into_iter().filter(|run| run.starts_with(prefix) && !prefix.is_empty());
    unique_run(prefix, candidates.cloned().collect())
}

/// Returns the only candidate, or the one that equals the prefix.
pub(super) fn unique_run(prefix: &str, mut candidates: Vec<String>) -> Result<String> {
    match candidates.iter().position(|run| run == prefix) {
        Some(exact) => Ok(candidates.swap_remove(exact)),
        None if candidates.len() == 1 => Ok(candidates.remove(0)),
        None => Err(Error::UnknownRun { given: prefix.to_owned(), candidates }),
    }
}

fn unique_id<'a>(prefix: &str, ids: &BTreeSet<&'a str>) -> Result<&'a str> {
    if let Some(id) = ids.get(prefix) {
        return Ok(id);
    }
    let candidates: Vec<&str> =
        ids.iter().copied().filter(|id| id.starts_with(prefix) && !prefix.is_empty()).collect();
    let owned = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect();
    match candidates[..] {
        [id] => Ok(id),
        [] => Err(Error::UnknownId { given: prefix.to_owned(), near: owned(&similar(prefix, ids)) }),
        _ => Err(Error::Ambiguous { given: prefix.to_owned(), candidates: owned(&candidates) }),
    }
}

/// Returns ids that contain what was given, or begin with the same number; else the nearest one.
fn similar<'a>(given: &str, ids: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let number: String = given.chars().take_while(char::is_ascii_digit).collect();
    let is_similar =
        |id: &&str| (given.len() > 2 && id.contains(given)) || (number.len() == 4 && id.starts_with(&number));
    let similar: Vec<_> = ids.iter().copied().filter(is_similar).take(SUGGESTIONS).collect();
    if similar.is_empty() { nearest(given, ids.iter().copied()).into_iter().collect() } else { similar }
}
