use std::time::Duration;

use bson::DateTime;
use serde::Serialize;

use crate::entry::{LedgerEntry, Provenance};
use crate::{LogRecord, Migration, Mode, Phase, Recovery, Source, State, StatusEntry, StepCounts, Undo};

/// All that is known of one migration.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct MigrationDetails {
    /// Which.
    pub id: String,
    /// What this program knows of it; `None` if it does not know it.
    pub declared: Option<Declaration>,
    /// Those that depend on it directly.
    #[serde(rename = "dependants")]
    pub dependents: Vec<String>,
    /// What the ledger says; `None` if it never ran.
    pub state: Option<State>,
    /// Whether it is being run, up or down, by somebody who holds the lease.
    pub live: bool,
    /// Who applied it.
    pub source: Option<Source>,
    /// How often it was begun.
    pub attempts: i32,
    /// When it was applied.
    #[serde(serialize_with = "crate::serialize::maybe_instant")]
    pub applied_at: Option<DateTime>,
    /// When its last attempt, or its undo, began.
    #[serde(serialize_with = "crate::serialize::maybe_instant")]
    pub started_at: Option<DateTime>,
    /// How long its last attempt, or its undo, took.
    pub duration_ms: Option<i64>,
    /// The run that applied it.
    pub applied_run: Option<String>,
    /// Who wrote its entry last.
    pub by: Option<Provenance>,
    /// What its steps did.
    pub counts: Vec<StepCounts>,
    /// What it left out, and what does not hold.
    pub warnings: Vec<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// The step in which it failed.
    pub step: Option<String>,
    /// All that the log has of it, but for progress.
    pub log: Vec<LogRecord>,
}

/// What a program knows of a migration.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own, and none is an argument")]
pub struct Declaration {
    /// What it does.
    pub summary: String,
    /// What has to be applied before.
    pub depends_on: Vec<String>,
    /// How its writes are made.
    pub mode: Mode,
    /// Whether it adds or takes away.
    pub phase: Phase,
    /// Whether programs that do not know it must not run once it is applied.
    pub breaks_older: bool,
    /// The collections that it writes to, and those whose content decides what it writes; empty if it does not say.
    pub touches: Vec<String>,
    /// Where it is run; empty: everywhere.
    pub contexts: Vec<String>,
    /// Whether it is run in the contexts at hand.
    pub in_context: bool,
    /// Variables that it reads.
    pub requires_env: Vec<String>,
    /// What is done if its runner dies.
    pub on_interrupt: Recovery,
    /// For how long one attempt may run, if it says so.
    #[serde(rename = "time_limit_ms", serialize_with = "crate::serialize::maybe_milliseconds")]
    pub time_limit: Option<Duration>,
    /// Whether what it changes is written down.
    pub journal: bool,
    /// How it is taken back.
    pub undo: Undo,
    /// Whether its place among others that are applied does not matter.
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
