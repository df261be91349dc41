use std::time::{Duration, Instant};

use docstore::{Database, EngineKind, Field, Filter, Find, Projection, Sort, Transaction, Update};

use super::sink::RecordedStep;
use crate::entry::{documents, integer};
use crate::ledger::LEDGER;
use crate::{Meta, Result, StepCounts};

/// Documents per second where nothing can be measured: small journaled changes on a machine with two cores.
const MONGO_DEFAULT: u64 = 20_000;
const EMBEDDED_DEFAULT: u64 = 30_000;
/// The smallest number of documents of an earlier run that counts. In smaller runs the fixed costs dominate.
const MIN_RUN: u64 = 1_000;
/// The number of documents that are changed as a sample, which takes some hundredths of a second.
const SAMPLE: u64 = 1_000;
/// The longest time that the sample may block other writers of these documents.
const SAMPLE_TIMEOUT: Duration = Duration::from_secs(2);
/// The bytes of a journal entry for each document besides its previous values.
const JOURNAL_ID_BYTES: u64 = 24;

/// The speed of migrations on this database.
pub(super) struct Rate {
    per_second: u64,
    /// A description of where the rate comes from.
    pub(super) source: String,
}

impl Rate {
    /// Returns the rate of earlier runs in the ledger, or else of a sample of this collection, or else a default.
    pub(super) async fn of_database(db: &Database, sample: Option<&str>) -> Result<Self> {
        if let Some(rate) = Self::of_ledger(db).await? {
            return Ok(rate);
        }
        if let Some(collection) = sample
            && let Some(per_second) = sampled(db, collection).await
        {
            let source = format!(
                "{per_second} documents per second, measured by changing {SAMPLE} of {collection} in a transaction that \
                 was aborted; excludes journal and commits"
            );
            return Ok(Self { per_second, source });
        }
        let per_second = if db.kind() == EngineKind::Mongo { MONGO_DEFAULT } else { EMBEDDED_DEFAULT };
        let source = format!("{per_second} documents per second, a default: nothing was measured here");
        Ok(Self { per_second, source })
    }

    async fn of_ledger(db: &Database) -> Result<Option<Self>> {
        let read = Find::new(Filter::eq("status", "applied"))
            .projection(Projection::include(["counts", "duration_ms"]));
        let entries = db.collection(LEDGER).find(read).await?.documents().await?;
        let (mut runs, mut all, mut millis) = (0, 0, 0);
        for entry in &entries {
            let counts = documents(entry, "counts").map(StepCounts::from_document);
            let changed: u64 = counts.map(|counts| counts.changed()).sum();
            if let Some(took) = integer(entry, "duration_ms").and_then(|millis| u64::try_from(millis).ok())
                && changed >= MIN_RUN
            {
                (runs, all, millis) = (runs + 1, all + changed, millis + took);
            }
        }
        if runs == 0 {
            return Ok(None);
        }
        let per_second = (all * 1000 / millis.max(1)).max(1);
        let source = format!("{per_second} documents per second, by earlier runs on this database ({runs})");
        Ok(Some(Self { per_second, source }))
    }

    /// Returns the milliseconds that this number of documents takes.
    pub(super) fn millis(&self, documents: u64) -> u64 {
        documents.saturating_mul(1000).div_ceil(self.per_second)
    }
}

/// Describes an estimated duration. The estimates are not exact enough for less than a second.
pub fn duration_text(millis: u64) -> String {
    match millis.div_ceil(1000) {
        0 | 1 => "at most a second".to_owned(),
        seconds @ 2..120 => format!("about {seconds} s"),
        seconds => format!("about {} min", seconds.div_ceil(60)),
    }
}

/// Returns the documents per second that are read and changed; `None` if there are too few, or without transactions.
async fn sampled(db: &Database, collection: &str) -> Option<u64> {
    if !db.facts().await.ok()?.transactions {
        return None;
    }
    let transaction = db.begin().await.ok()?;
    let outcome = tokio::time::timeout(SAMPLE_TIMEOUT, sample(&transaction, collection)).await;
    // If the abort fails, the transaction has ended by itself. Either way nothing of it persists.
    let _ = transaction.abort().await;
    let (changed, took) = outcome.ok()?.ok()??;
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
    Some((changed * 1_000_000 / micros).max(1))
}

async fn sample(transaction: &Transaction, collection: &str) -> Result<Option<(u64, Duration)>> {
    let began = Instant::now();
    let documents = transaction.collection(collection);
    let ids =
        Find::new(Filter::All).sort(Sort::ascending(Field::ID)).limit(SAMPLE).projection(Projection::id());
    let mut found = documents.find(ids).await?.documents().await?;
    if (found.len() as u64) < SAMPLE {
        return Ok(None);
    }
    let Some(last) = found.pop().and_then(|mut last| last.remove("_id")) else { return Ok(None) };
    let update = Update::new().set(Field::parse("_migration_sample")?, true);
    let done = documents.update_many(&Filter::lte(Field::ID, last), &update).await?;
    Ok(Some((done.modified, began.elapsed())))
}

/// Estimates the bytes that are written to the journal.
pub(super) fn journal_bytes(meta: &Meta, steps: &[RecordedStep]) -> u64 {
    if !meta.journal {
        return 0;
    }
    steps
        .iter()
        .map(|RecordedStep { measure, .. }| measure.matched * (JOURNAL_ID_BYTES + measure.bytes_before))
        .sum()
}
