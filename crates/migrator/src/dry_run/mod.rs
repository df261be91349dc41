//! What an `up` would do, found out without doing it.
//!
//! Migrations are run with an [`Up`](crate::Up) that looks instead of writing. Where the store has transactions and few
//! documents are concerned, the steps are really carried out, in a transaction that is then aborted, so that a later
//! migration sees what an earlier one would have done. Elsewhere they are counted, each on the database as it is.

/// The same changes, in a transaction that is aborted.
mod apply;
/// How long it would take, and how much it would write down.
mod estimate;
/// What a step would do to the documents.
mod measure;
/// A pass over all pending migrations.
mod pass;
/// Keeping values of variables out of what is told.
mod redact;
/// The side of an `Up` that writes nothing.
mod sink;

use bson::{Bson, Document};
use serde::Serialize;

pub(crate) use pass::{DryRun, dry_run};
pub(crate) use sink::DryRunSink;

use crate::{Lint, Mode, Phase, Undo};

/// What an `up` would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Preview {
    /// How it was found out.
    pub path: PreviewPath,
    /// Why it was not tried, if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_tried: Option<String>,
    /// Interrupted undos that would be finished first. What they leave is not in the counts.
    pub undo_first: Vec<String>,
    /// The migrations that would be applied, in order.
    pub migrations: Vec<MigrationPreview>,
}

/// How it was found out what would be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PreviewPath {
    /// It was carried out in a transaction that was aborted. Indexes and rules were looked at only.
    Tried,
    /// It was counted on the database as it is, so what one migration leaves is not seen by the next.
    Counted,
}

/// What one migration would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MigrationPreview {
    /// Which.
    pub id: String,
    /// What it says of itself.
    pub summary: String,
    /// How its writes are made.
    pub mode: Mode,
    /// Whether it adds or takes away.
    pub phase: Phase,
    /// How it is taken back.
    pub undo: Undo,
    /// Its steps, as far as it came.
    pub steps: Vec<StepPreview>,
    /// How many documents it would change, insert, copy or delete.
    pub documents: u64,
    /// How many bytes it would write into the journal, about.
    pub journal_bytes: u64,
    /// How long it would take, about.
    pub estimate_ms: u64,
    /// Where the estimate comes from.
    pub estimate_from: String,
    /// What it would leave out.
    pub warnings: Vec<String>,
    /// Earlier migrations of this plan that write to collections which it reads or writes, and whose changes it was
    /// looked at without.
    pub without: Vec<String>,
    /// Why it would fail, or was not come to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the rules find.
    pub lints: Vec<Lint>,
}

/// What one step would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StepPreview {
    /// Its name.
    pub step: String,
    /// The collection it changes; of a copy, the one that is read.
    pub collection: String,
    /// What it does, in a line. What a variable holds is told by the variable's name.
    pub text: String,
    /// What it does, as data.
    pub operation: Document,
    /// How many documents it would change, insert, copy or delete; 1 for an index or a rule that it would change.
    pub matched: u64,
    /// Whether that is exact; otherwise it is the most that it can be.
    pub exact: bool,
    /// Some of the documents, before and after.
    pub samples: Vec<Sample>,
}

/// A document that a step would change: the fields that differ, and its id.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Sample {
    /// Its id; null if it is to get one.
    pub id: Bson,
    /// What the fields have; empty for a document that is not there.
    pub before: Document,
    /// What they would have; empty for a document that would be deleted.
    pub after: Document,
}
