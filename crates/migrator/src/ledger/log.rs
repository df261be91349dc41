use bson::{Bson, DateTime, Document};
use docstore::{Database, Field, Filter, Find, Sort};
use serde::Serialize;

use super::LOG;
use crate::entry::{Provenance, documents, integer, text, texts};
use crate::{Result, StepCounts};

/// One record of the log, which is append-only.
#[derive(Debug, Clone, Serialize)]
pub struct LogRecord {
    /// The time, by the clock of the machine that wrote it.
    #[serde(serialize_with = "crate::serialize::instant")]
    pub at: DateTime,
    /// The event: `started`, `progress`, `applied`, `failed`, `interrupted`, `rolling_back`, `rolled_back`,
    /// `undo_failed`, `imported`, `imported_as_rolled_back`, `stamped`, `repaired`, `lock_wait`, `unlocked`, `checksum_accepted`, `reset`.
    pub event: String,
    /// The migration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migration: Option<String>,
    /// The fencing token of the lease under which it was written; later leases have greater tokens.
    pub fence: i64,
    /// The run and program that wrote it.
    #[serde(flatten)]
    pub by: Provenance,
    /// The number of the attempt, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i64>,
    /// The duration in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// The counts of the steps so far.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<StepCounts>,
    /// Warnings: documents left out, and conditions that do not hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The step that was running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The error, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The error and its causes, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub error_chain: Vec<String>,
    /// The reason given for a manual change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The state that a manual change set, or `retry`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The holder of the lease that was waited for, or released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
}

impl LogRecord {
    /// Reads a record. Fields may be missing, because the log has records of all versions.
    fn from_document(document: &Document) -> Self {
        Self {
            at: document.get_datetime("at").copied().unwrap_or(DateTime::MIN),
            event: text(document, "event").unwrap_or_default(),
            migration: text(document, "migration"),
            fence: integer(document, "fence").unwrap_or(0),
            by: Provenance::from_document(document),
            attempt: integer(document, "attempt"),
            duration_ms: integer(document, "duration_ms"),
            counts: documents(document, "counts").map(StepCounts::from_document).collect(),
            warnings: texts(document, "warnings"),
            step: text(document, "step"),
            error: text(document, "error"),
            error_chain: texts(document, "error_chain"),
            reason: text(document, "reason"),
            to: text(document, "to"),
            holder: text(document, "holder"),
        }
    }
}

/// Returns the records that match, oldest first; with a limit, the latest ones.
pub(crate) async fn read(db: &Database, filter: Filter, limit: Option<usize>) -> Result<Vec<LogRecord>> {
    // Under one lease there is one writer, whose ids grow; the clocks of several machines need not agree.
    let mut find = Find::new(filter).sort(Sort::descending("fence").then_descending(Field::ID));
    if let Some(limit) = limit {
        find = find.limit(limit as u64);
    }
    let found = db.collection(LOG).find(find).await?.documents().await?;
    Ok(found.iter().rev().map(LogRecord::from_document).collect())
}

/// Returns the ids of the runs with this prefix.
pub(crate) async fn runs(db: &Database, prefix: &str) -> Result<Vec<String>> {
    let find = Find::new(Filter::starts_with("run_id", prefix)).sort(Sort::ascending(Field::ID));
    let mut ids = Vec::new();
    for record in db.collection(LOG).find(find).await?.documents().await? {
        if let Some(Bson::String(id)) = record.get("run_id")
            && !ids.contains(id)
        {
            ids.push(id.clone());
        }
    }
    Ok(ids)
}
