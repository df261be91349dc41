use bson::{Bson, DateTime, Document};
use docstore::{Database, Field, Filter, Find, Sort};
use serde::Serialize;

use crate::entry::{Provenance, documents, integer, text, texts};
use crate::ledger::LOG;
use crate::{Result, StepCounts};

/// One record of the log. The log is never changed, and nothing is ever taken out of it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct LogRecord {
    /// When, by the clock of the machine that wrote it.
    #[serde(serialize_with = "crate::serialize::instant")]
    pub at: DateTime,
    /// What happened: `started`, `progress`, `applied`, `failed`, `interrupted`, `rolling_back`, `rolled_back`,
    /// `undo_failed`, `imported`, `imported_as_rolled_back`, `stamped`, `repaired`, `lock_wait`, `unlocked`.
    pub event: String,
    /// To which migration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migration: Option<String>,
    /// The fencing token of the lease under which it was written. Greater ones are later.
    pub fence: i64,
    /// Who wrote it.
    #[serde(flatten)]
    pub by: Provenance,
    /// The number of the attempt, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i64>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// What the steps did so far.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<StepCounts>,
    /// What was left out, and what does not hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The step at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Why it did not come to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The error, and what that came from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub error_chain: Vec<String>,
    /// Why somebody did it by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it was told to become by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Who held the lease that was waited for, or taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
}

impl LogRecord {
    /// Reads a record; what it does not have is left out, since the log has records of all versions.
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

/// The records that match, the oldest first; of too many the latest.
pub(crate) async fn read(db: &Database, filter: Filter, limit: Option<usize>) -> Result<Vec<LogRecord>> {
    // Under one lease there is one writer, whose ids grow. Clocks of several machines need not agree.
    let mut find = Find::new(filter).sort(Sort::descending("fence").then_descending(Field::ID));
    if let Some(limit) = limit {
        find = find.limit(limit as u64);
    }
    let mut found: Vec<_> = db
        .collection(LOG)
        .find(find)
        .await?
        .documents()
        .await?
        .iter()
        .map(LogRecord::from_document)
        .collect();
    found.reverse();
    Ok(found)
}

/// The runs whose ids begin so.
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
