use std::time::Duration;

use bson::DateTime;
use serde::Serialize;

use crate::entry::{LedgerEntry, Provenance};
use crate::{LogRecord, Migration, Mode, Phase, Recovery, Source, State, StatusEntry, StepCounts, Undo};

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
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not arguments")]
pub struct Declaration {
    /// Its summary.
    pub summary: String,
    /// The migrations that must be applied before it.
    pub depends_on: Vec<String>,
    /// The mode of its writes.
    pub mode: Mode,
    /// The phase: expand or contract.
    pub phase: Phase,
    /// `true` if programs that do not know it must not run once it is applied.
    pub breaks_older: bool,
    /// The collections that it writes to or depends on; empty if it does not declare them.
    pub touches: Vec<String>,
    /// The contexts that it runs in; empty for all.
    pub contexts: Vec<String>,
    /// `true` if it runs in the contexts at hand.
    pub in_context: bool,
    /// The variables that it reads.
    pub requires_env: Vec<String>,
    /// The handling of an interrupted run.
    pub on_interrupt: Recovery,
    /// The time limit of one attempt, if it declares one.
    #[serde(rename = "time_limit_ms", serialize_with = "crate::serialize::maybe_milliseconds")]
    pub time_limit: Option<Duration>,
    /// `true` if it writes a journal.
    pub journal: bool,
    /// The way it is rolled back.
    pub undo: Undo,
    /// `true` if it may be applied after later migrations, whatever they touch.
    pub out_of_order: bool,
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
        let meta = migration.meta();
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        self.declared = Some(Declaration {
            summary: meta.summary.to_owned(),
            depends_on: owned(meta.depends_on),
            mode: meta.mode,
            phase: meta.phase,
            breaks_older: meta.is_breaking(),
            touches: owned(meta.touches),
            contexts: owned(meta.contexts),
            in_context,
            requires_env: owned(meta.requires_env),
            on_interrupt: meta.on_interrupt,
            time_limit: meta.time_limit,
            journal: meta.journal,
            undo: migration.undo(),
            out_of_order: meta.out_of_order,
        });
    }
}
