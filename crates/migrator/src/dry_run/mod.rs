//! The dry run of an `up`: what it would do, without doing it.
//!
//! Migrations run with an [`Up`](crate::Up) whose sink measures and records each step. Where the store has transactions
//! and few documents are concerned, the steps are applied in a transaction that is then aborted, so that a migration sees
//! what earlier ones would do. Elsewhere each is measured on the database as it is.

/// Estimates the duration and the size of the journal.
mod estimate;
/// Measures what a step would change.
mod measure;
/// Runs all pending migrations.
mod pass;
/// Replaces values of environment variables by their names.
mod redact;
/// The sink that records steps.
mod sink;

use bson::{Bson, Document};
use serde::Serialize;

pub use estimate::duration_text;
pub(crate) use pass::DryRun;
pub(crate) use sink::DryRunSink;

use crate::{Lint, Mode, Phase, Undo};

/// The effect of an `up`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preview {
    /// The method by which it was determined.
    pub path: PreviewPath,
    /// The reason for which the migrations were not tried in a transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_tried: Option<String>,
    /// Interrupted rollbacks that would be completed first. The counts do not include what they change.
    pub undo_first: Vec<String>,
    /// The migrations that would be applied, in order.
    pub migrations: Vec<MigrationPreview>,
}

/// The method of a dry run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PreviewPath {
    /// The steps were applied in a transaction that was aborted, except for index changes.
    Tried,
    /// Each migration was measured on the database as it is, without the changes of earlier ones.
    Counted,
}

/// The effect of one migration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MigrationPreview {
    /// The migration.
    pub id: String,
    /// Its summary.
    pub summary: String,
    /// The mode, which determines how writes are batched.
    pub mode: Mode,
    /// The phase: expand or contract.
    pub phase: Phase,
    /// The kind of rollback.
    pub undo: Undo,
    /// Its steps, up to the first error.
    pub steps: Vec<StepPreview>,
    /// The number of documents that it would change, insert, copy or delete.
    pub documents: u64,
    /// The estimated size of its journal.
    pub journal_bytes: u64,
    /// The estimated duration.
    pub estimate_ms: u64,
    /// The source of the estimate.
    pub estimate_from: String,
    /// Warnings about what it would not do.
    pub warnings: Vec<String>,
    /// Earlier migrations of this plan that write to collections which it reads or writes, and whose changes the counts do
    /// not include.
    pub without: Vec<String>,
    /// The reason for which it would fail, or was not reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The findings of the lint rules.
    pub lints: Vec<Lint>,
}

/// The effect of one step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepPreview {
    /// Its name.
    pub step: String,
    /// The collection that it changes; for a copy, the one that is read.
    pub collection: String,
    /// A description in one line, with names instead of values of environment variables.
    pub text: String,
    /// The operation as data.
    pub operation: Document,
    /// The number of documents that it would change, insert, copy or delete; 1 for an index that it would change.
    pub matched: u64,
    /// True if `matched` is exact; otherwise it is an upper bound.
    pub exact: bool,
    /// The first documents, before and after.
    pub samples: Vec<Sample>,
}

/// A document that a step would change: its id and the fields that differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    /// Its id; null if it has none yet.
    pub id: Bson,
    /// The fields before; empty for a document that would be inserted.
    pub before: Document,
    /// The fields after; empty for a document that would be deleted.
    pub after: Document,
}
