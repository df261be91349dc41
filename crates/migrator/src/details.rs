use bson::DateTime;
use serde::Serialize;

use crate::entry::{LedgerEntry, Provenance};
use crate::{LogRecord, Meta, Migration, Source, State, StatusEntry, StepCounts, Undo};

/// Everything that is known of one migration.
#[derive(Debug, Clone, Serialize)]
pub struct MigrationDetails {
    /// The migration.
    pub id: String,
    /// Its declaration; `None` if this program does not know it.
    pub declared: Option<Declaration>,
    /// The migrations that depend on it directly.
    #[serde(rename = "dependants")]
    pub dependents: Vec<String>,
    /// Its state in the ledger; `None` if it never ran.
    pub state: Option<State>,
    /// `true` while the holder of the lease applies it or rolls it back.
    pub live: bool,
    /// The origin of its entry.
    pub source: Option<Source>,
    /// The number of attempts.
    pub attempts: i32,
    /// The time when it was applied.
    #[serde(serialize_with = "crate::serialize::maybe_instant")]
    pub applied_at: Option<DateTime>,
    /// The start of its last attempt or rollback.
    #[serde(serialize_with = "crate::serialize::maybe_instant")]
    pub started_at: Option<DateTime>,
    /// The duration of its last attempt or rollback, in milliseconds.
    pub duration_ms: Option<i64>,
    /// The run that applied it.
    pub applied_run: Option<String>,
    /// The run and program that wrote its entry last.
    pub by: Option<Provenance>,
    /// The counts of its steps.
    pub counts: Vec<StepCounts>,
    /// Warnings: documents left out, and conditions that do not hold.
    pub warnings: Vec<String>,
    /// The error, if it failed.
    pub error: Option<String>,
    /// The step in which it failed.
    pub step: Option<String>,
    /// Its records in the log, except progress.
    pub log: Vec<LogRecord>,
}

/// The declaration of a migration in this program.
#[derive(Debug, Clone, Serialize)]
pub struct Declaration {
    /// Its static description. `breaks_older` is also `true` if its phase implies it.
    #[serde(flatten)]
    pub meta: Meta,
    /// `true` if it runs in the contexts at hand.
    pub in_context: bool,
    /// The way it is rolled back.
    pub undo: Undo,
}

impl MigrationDetails {
    pub(crate) fn new(
        id: &str,
        entry: Option<&LedgerEntry>,
        live_fence: Option<i64>,
        log: Vec<LogRecord>,
    ) -> Self {
        let status = StatusEntry::new(id, "", entry, live_fence);
        Self {
            id: id.to_owned(),
            declared: None,
            dependents: Vec::new(),
            state: status.state,
            live: status.live,
            source: status.source,
            attempts: entry.map_or(0, |e| e.attempts),
            applied_at: status.applied_at,
            started_at: entry.and_then(|e| e.started_at),
            duration_ms: entry.and_then(|e| e.duration_ms),
            applied_run: entry.and_then(|e| e.applied_run.clone()),
            by: entry.map(|e| e.by.clone()),
            counts: entry.map(|e| e.counts.clone()).unwrap_or_default(),
            warnings: status.warnings,
            error: status.error,
            step: entry.and_then(|e| e.step.clone()),
            log,
        }
    }

    pub(crate) fn declared(&mut self, migration: &dyn Migration, in_context: bool) {
        let meta = Meta { breaks_older: migration.meta().is_breaking(), ..*migration.meta() };
        self.declared = Some(Declaration { meta, in_context, undo: migration.undo() });
    }
}
