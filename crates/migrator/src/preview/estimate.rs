use bson::{Bson, Document};
use docstore::{Database, EngineKind, Filter, Find, Projection};

use super::look::Noted;
use crate::ledger::LEDGER;
use crate::{Meta, Result};

/// Documents a second, where no earlier run says more: small changes with journal, on a machine with two cores.
const ON_MONGO: u64 = 20_000;
const ON_EMBEDDED: u64 = 30_000;
/// An earlier run says something from this many documents on; below, the rest of a run outweighs them.
const ENOUGH: u64 = 1_000;
/// The bytes of an entry of the journal for each document, its values apart: its id.
const ENTRY: u64 = 24;

/// How fast migrations are carried out on this database.
pub(super) struct Rate {
    per_second: u64,
    from: String,
}

impl Rate {
    /// From what earlier runs took, by the ledger; else a figure for the engine.
    pub(super) async fn of(db: &Database) -> Result<Self> {
        let read = Find::new(Filter::eq("status", "applied"))
            .projection(Projection::include(["counts", "duration_ms"]));
        let entries = db.collection(LEDGER).find(read).await?.documents().await?;
        let (mut runs, mut documents, mut millis) = (0, 0, 0);
        for entry in &entries {
            let changed = changed(entry);
            if let Some(took) = number(entry.get("duration_ms"))
                && changed >= ENOUGH
            {
                (runs, documents, millis) = (runs + 1, documents + changed, millis + took);
            }
        }
        if runs > 0 {
            let per_second = (documents * 1000 / millis.max(1)).max(1);
            let from = format!("{per_second} documents a second, by earlier runs on this database ({runs})");
            return Ok(Self { per_second, from });
        }
        let per_second = if db.kind() == EngineKind::Mongo { ON_MONGO } else { ON_EMBEDDED };
        Ok(Self { per_second, from: format!("{per_second} documents a second, a figure of another machine") })
    }

    /// The milliseconds for this many documents.
    pub(super) fn millis(&self, documents: u64) -> u64 {
        documents.saturating_mul(1000).div_ceil(self.per_second)
    }

    pub(super) fn from(&self) -> &str {
        &self.from
    }
}

fn changed(entry: &Document) -> u64 {
    let counts = entry.get_array("counts").map(Vec::as_slice).unwrap_or_default();
    let of = |step: &Document| -> u64 {
        ["inserted", "updated", "deleted"].iter().filter_map(|key| number(step.get(key))).sum()
    };
    counts.iter().filter_map(Bson::as_document).map(of).sum()
}

fn number(value: Option<&Bson>) -> Option<u64> {
    match value? {
        Bson::Int32(n) => u64::try_from(*n).ok(),
        Bson::Int64(n) => u64::try_from(*n).ok(),
        _ => None,
    }
}

/// The bytes that go into the journal, about.
pub(super) fn journal(meta: &Meta, steps: &[Noted]) -> u64 {
    if !meta.journal {
        return 0;
    }
    steps.iter().map(|step| step.matched * (ENTRY + step.bytes_before)).sum()
}
