use bson::{Bson, DateTime};
use docstore::Store;

use super::id_scan::Progress;
use crate::journal::{self, JournalWriter};
use crate::{Error, Meta, Mode, Result, StepCounts};

/// The state of one attempt at a migration.
pub(crate) struct Attempt {
    pub(crate) migration: String,
    pub(crate) counts: Vec<StepCounts>,
    pub(crate) warnings: Vec<String>,
    /// The current step, which an error names.
    pub(crate) step: Option<String>,
    /// The effective mode: without transactions, `Transaction` becomes `Idempotent`.
    pub(crate) mode: Mode,
    /// True if changes are journaled.
    pub(crate) journal: bool,
    /// The position that a resumed attempt continues from.
    pub(crate) progress: Progress,
    pub(crate) writer: JournalWriter,
    /// The number of the last journal entry of earlier attempts, and the size of all of them.
    pub(crate) found: (i64, i64),
    /// The number of documents that the migration's transaction has changed, in `Transaction` mode.
    pub(crate) in_transaction: u64,
    used_names: Vec<String>,
    now: DateTime,
    /// The counts and the progress at the start.
    before: (Vec<StepCounts>, Progress),
}

impl Attempt {
    /// Starts from the counts and the position of earlier attempts.
    pub(crate) fn new(meta: &Meta, counts: Vec<StepCounts>, progress: Progress, now: DateTime) -> Self {
        Self {
            migration: meta.id.into(),
            before: (counts.clone(), progress.clone()),
            counts,
            warnings: Vec::new(),
            step: None,
            mode: meta.mode,
            journal: meta.journal,
            progress,
            writer: JournalWriter::default(),
            found: (0, 0),
            in_transaction: 0,
            used_names: Vec::new(),
            now,
        }
    }

    /// Starts a dry run.
    pub(crate) fn dry_run(meta: &Meta, now: DateTime) -> Self {
        Self::new(meta, Vec::new(), Progress::default(), now)
    }

    /// Starts a rollback by code, which runs step by step and without a journal.
    pub(crate) fn rollback(meta: &Meta, counts: Vec<StepCounts>, now: DateTime) -> Self {
        let attempt = Self::new(meta, counts, Progress::default(), now);
        Self { mode: Mode::Idempotent, journal: false, ..attempt }
    }

    /// Returns the start of this attempt.
    pub(crate) fn now(&self) -> DateTime {
        self.now
    }

    /// Returns true if the journal may have entries of an earlier attempt.
    pub(crate) fn is_resumed(&self) -> bool {
        self.found.0 > 0
    }

    /// Returns true if the migration is one transaction, so that the ledger is written once.
    pub(super) fn is_whole(&self) -> bool {
        self.mode == Mode::Transaction
    }

    /// Returns true if the position is stored with each batch.
    pub(super) fn keeps_progress(&self) -> bool {
        self.mode == Mode::Batched
    }

    /// Reads which journal entries earlier attempts wrote.
    pub(super) async fn find_journal(&mut self, store: &dyn Store) -> Result<()> {
        self.found = journal::last(store, &self.migration).await?;
        self.writer = JournalWriter::after(self.found);
        Ok(())
    }

    /// Resets to the start, after the transaction of the whole migration was aborted.
    pub(crate) fn restart(&mut self) {
        (self.counts, self.progress) = self.before.clone();
        self.writer = JournalWriter::after(self.found);
        self.in_transaction = 0;
        self.warnings.clear();
        self.used_names.clear();
        self.step = None;
    }

    /// Begins a step. Returns the index of its counts.
    pub(crate) fn begin(&mut self, step: &str, collection: &str) -> Result<usize> {
        self.step = Some(step.to_owned());
        if self.used_names.iter().any(|used| used == step) {
            return Err(Error::migration(format!("the step name {step:?} is used twice")));
        }
        self.used_names.push(step.to_owned());
        Ok(StepCounts::index_of(&mut self.counts, step, collection))
    }

    /// Ends the current step.
    pub(crate) fn end(&mut self) {
        self.step = None;
    }
}

/// The outcome of `Up::insert_if_absent`, with the document's id.
#[derive(Debug, Clone, PartialEq)]
pub enum Inserted {
    /// The document was inserted, by this attempt or an earlier one.
    New(Bson),
    /// A document that matches the key existed before.
    Present(Bson),
}

/// The outcome of a step.
#[derive(Debug, Clone)]
pub(crate) enum StepOutcome {
    /// The number of documents or indexes that this attempt changed.
    Changed(u64),
    /// The outcome of `Operation::Insert`.
    Inserted(Inserted),
}
