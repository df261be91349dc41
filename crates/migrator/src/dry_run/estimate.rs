use std::time::{Duration, Instant};

use bson::{Bson, Document};
use docstore::{Database, EngineKind, Field, Filter, Find, Projection, Sort, Transaction, Update};

use super::sink::RecordedStep;
use crate::ledger::LEDGER;
use crate::{Meta, Result};

/// Documents a second, where nothing can be measured: small changes with journal, on a machine with two cores.
const ON_MONGO: u64 = 20_000;
const ON_EMBEDDED: u64 = 30_000;
/// An earlier run says something from this many documents on; below, the rest of a run outweighs them.
const ENOUGH: u64 = 1_000;
/// So many documents are changed to see how fast that is; it takes some hundredths of a second.
const SAMPLE: u64 = 1_000;
/// For how long that may hold the documents.
const SAMPLING: Duration = Duration::from_secs(2);
/// The bytes of an entry of the journal for each document, its values apart: its id.
const ENTRY: u64 = 24;

/// How fast migrations are carried out on this database.
pub(super) struct Rate {
    per_second: u64,
    from: String,
}

impl Rate {
    /// From what earlier runs took, by the ledger; else from a sample of this collection, if there is one that may be
    /// tried; else a figure for the engine.
    pub(super) async fn of(db: &Database, sample: Option<&str>) -> Result<Self> {
        if let Some(learned) = Self::learned(db).await? {
            return Ok(learned);
        }
        if let Some(collection) = sample
            && let Some(per_second) = sampled(db, collection).await
        {
            let from = format!(
                "{per_second} documents a second, by changing {SAMPLE} of {collection} in a transaction that was ended \
                 without effect; journal and commits come on top"
            );
            return Ok(Self { per_second, from });
        }
        let per_second = if db.kind() == EngineKind::Mongo { ON_MONGO } else { ON_EMBEDDED };
        let from =
            format!("{per_second} documents a second, a figure of another machine: none was measured here");
        Ok(Self { per_second, from })
    }

    async fn learned(db: &Database) -> Result<Option<Self>> {
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
        if runs == 0 {
            return Ok(None);
        }
        let per_second = (documents * 1000 / millis.max(1)).max(1);
        let from = format!("{per_second} documents a second, by earlier runs on this database ({runs})");
        Ok(Some(Self { per_second, from }))
    }

    /// The milliseconds for this many documents.
    pub(super) fn millis(&self, documents: u64) -> u64 {
        documents.saturating_mul(1000).div_ceil(self.per_second)
    }

    pub(super) fn from(&self) -> &str {
        &self.from
    }
}

/// How many documents a second are read and changed; `None` if there are too few, or it cannot be tried.
async fn sampled(db: &Database, collection: &str) -> Option<u64> {
    if !db.facts().await.ok()?.transactions {
        return None;
    }
    let transaction = db.begin().await.ok()?;
    let outcome = tokio::time::timeout(SAMPLING, sample(&transaction, collection)).await;
    // Nothing of it may stay. A transaction that cannot be aborted has ended by itself.
    let _ = transaction.abort().await;
    let (changed, took) = outcome.ok()?.ok()??;
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
    Some((changed * 1_000_000 / micros).max(1))
}

async fn sample(transaction: &Transaction, collection: &str) -> Result<Option<(u64, Duration)>> {
    let began = Instant::now();
    let documents = transaction.collection(collection);
    let ids = Find::new(Filter::All)
        .sort(Sort::ascending(Field::ID))
        .limit(SAMPLE)
        .projection(Projection::Include(Vec::new()));
    let mut found = documents.find(ids).await?.documents().await?;
    if (found.len() as u64) < SAMPLE {
        return Ok(None);
    }
    let Some(last) = found.pop().and_then(|mut last| last.remove("_id")) else { return Ok(None) };
    let update = Update::new().set(Field::parse("_migration_sample")?, true);
    let done = documents.update_many(&Filter::lte(Field::ID, last), &update).await?;
    Ok(Some((done.modified, began.elapsed())))
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
pub(super) fn journal(meta: &Meta, steps: &[RecordedStep]) -> u64 {
    if !meta.journal {
        return 0;
    }
    steps.iter().map(|step| step.matched * (ENTRY + step.bytes_before)).sum()
}
