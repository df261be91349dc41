use docstore::{Database, Index, Store};

use super::attempt::{Attempt, StepOutcome};
use super::id_scan::Progress;
use super::session::{Batch, RunSession, Scope};
use crate::journal::Record;
use crate::operation::Operation;
use crate::{Error, Event, Result, StepCounts};

/// The largest number of documents that one transaction changes. Servers run into limits of time and size from some
/// thousand documents on, and other writers wait for these documents until the transaction ends.
const TRANSACTION_LIMIT: u64 = 10_000;

/// Executes the steps of an [`Up`](crate::Up).
pub(crate) struct LiveSink<'a> {
    pub(crate) session: &'a RunSession<'a>,
    /// The transaction of the whole migration, in [`Mode::Transaction`](crate::Mode::Transaction).
    pub(crate) whole: Option<&'a Scope>,
}

/// A step of an attempt, as its batches see it.
#[derive(Clone, Copy)]
pub(super) struct StepContext<'a> {
    pub(super) session: &'a RunSession<'a>,
    pub(super) attempt: &'a Attempt,
    /// The index of the step's counts in the attempt.
    pub(super) at: usize,
}

impl StepContext<'_> {
    /// Returns the step's counts before the batch.
    pub(super) fn counts(&self) -> &StepCounts {
        &self.attempt.counts[self.at]
    }

    /// Marks the start of a batch in the ledger, where the batch is not one transaction with the ledger's entry.
    pub(super) async fn begin_batch(&self, scope: &Scope) -> Result<()> {
        if scope.is_transaction() {
            return Ok(());
        }
        let Attempt { migration, counts, warnings, .. } = self.attempt;
        self.session.touch(scope, migration, counts, warnings, None).await?;
        self.session.boundary(migration, scope).await
    }

    /// Writes the step's counts to the ledger. A migration that is one transaction does so once, at its end.
    pub(super) async fn record_counts(
        &self,
        scope: &Scope,
        counts: &StepCounts,
        progress: Option<&Progress>,
    ) -> Result<()> {
        let Attempt { migration, warnings, .. } = self.attempt;
        if self.attempt.is_whole() {
            return Ok(());
        }
        let mut all = self.attempt.counts.clone();
        all[self.at] = counts.clone();
        self.session.touch(scope, migration, &all, warnings, progress).await
    }

    /// Writes what is about to change to the journal, unless the migration has none. Returns the size of the entry.
    pub(super) async fn journal(&self, scope: &Scope, collection: &str, record: &Record) -> Result<i64> {
        let Attempt { migration, writer, journal, .. } = self.attempt;
        if !journal {
            return Ok(0);
        }
        writer.write(self.session, scope, (migration, &self.counts().step, collection), record).await
    }
}

impl LiveSink<'_> {
    /// Returns the store to read from, which shows the migration's own writes.
    pub(crate) fn store(&self) -> &dyn Store {
        match self.whole {
            Some(scope) => scope,
            None => self.session.db,
        }
    }

    pub(super) fn db(&self) -> &Database {
        self.session.db
    }

    /// Executes a step, of which `at` is the index of its counts.
    pub(crate) async fn execute(
        &self,
        attempt: &mut Attempt,
        at: usize,
        operation: &Operation,
    ) -> Result<StepOutcome> {
        let (migration, step) = (attempt.migration.clone(), attempt.counts[at].step.clone());
        self.session.emit(&Event::StepStarted { migration: &migration, step: &step });
        if self.whole.is_some() {
            self.check_transaction(attempt, at, operation).await?;
        }
        let outcome = match operation {
            Operation::Insert { key, document } => {
                StepOutcome::Inserted(self.insert(attempt, at, key, document).await?)
            }
            Operation::InsertMany { key, documents, .. } => {
                StepOutcome::Changed(self.insert_many(attempt, at, key, documents).await?)
            }
            Operation::CreateIndex(index) => {
                StepOutcome::Changed(self.create_index(attempt, at, index).await?)
            }
            Operation::DropIndex(name) => StepOutcome::Changed(self.drop_index(attempt, at, name).await?),
            _ => StepOutcome::Changed(self.run_batches(attempt, at, operation).await?),
        };
        let counts = &attempt.counts[at];
        tracing::info!(migration, "{counts}");
        self.session.emit(&Event::StepFinished { migration: &migration, counts });
        Ok(outcome)
    }

    /// Refuses a step that one transaction cannot take.
    async fn check_transaction(&self, attempt: &mut Attempt, at: usize, operation: &Operation) -> Result<()> {
        let StepCounts { step, collection, .. } = &attempt.counts[at];
        if operation.is_ddl() {
            return Err(Error::StepNotTransactional { id: attempt.migration.clone(), step: step.clone() });
        }
        let documents = match (operation.pending(), operation) {
            (Some(filter), _) => self.store().collection(collection).count(&filter).await?,
            (None, Operation::InsertMany { documents, .. }) => documents.len() as u64,
            (None, _) => 1,
        };
        attempt.in_transaction += documents;
        if attempt.in_transaction <= TRANSACTION_LIMIT {
            return Ok(());
        }
        let why = format!(
            "it would change {} documents in one transaction; the limit is {TRANSACTION_LIMIT}",
            attempt.in_transaction
        );
        Err(Error::ModeUnavailable { id: attempt.migration.clone(), why })
    }

    /// Creates an index unless it exists. Returns 1 if it was created.
    pub(super) async fn create_index(&self, attempt: &mut Attempt, at: usize, index: &Index) -> Result<u64> {
        let collection = attempt.counts[at].collection.clone();
        let existing = self.db().list_indexes(&collection).await?;
        if existing.iter().any(|existing| existing.same_definition(index)) {
            attempt.counts[at].left = 1;
            return Ok(0);
        }
        self.journal_intent(attempt, at, &Record::IndexMade { index: index.to_document() }).await?;
        self.db().ensure_index(&collection, index).await?;
        attempt.counts[at].inserted = 1;
        Ok(1)
    }

    /// Drops an index if it exists. Returns 1 if it was dropped.
    pub(super) async fn drop_index(&self, attempt: &mut Attempt, at: usize, name: &str) -> Result<u64> {
        let collection = attempt.counts[at].collection.clone();
        let existing = self.db().list_indexes(&collection).await?;
        let Some(index) = existing.iter().find(|existing| existing.name() == name) else { return Ok(0) };
        self.journal_intent(attempt, at, &Record::IndexDropped { index: index.to_document() }).await?;
        self.db().drop_index(&collection, name).await?;
        attempt.counts[at].deleted = 1;
        Ok(1)
    }

    /// Writes the journal entry of a change that no transaction takes. If the run dies before the change, the rollback
    /// finds nothing to undo.
    async fn journal_intent(&self, attempt: &Attempt, at: usize, record: &Record) -> Result<()> {
        let ctx = StepContext { session: self.session, attempt, at };
        let journal_bytes =
            self.session.atomically(&attempt.migration, &JournalIntent { ctx, record }).await?;
        attempt.writer.written(journal_bytes);
        self.session.check_limits().await
    }

    /// Runs a batch in the transaction of the whole migration, or else in one of its own.
    pub(super) async fn batch<B: Batch>(&self, migration: &str, batch: &B) -> Result<B::Out> {
        match self.whole {
            None => self.session.atomically(migration, batch).await,
            Some(scope) => {
                self.session.check_limits().await?;
                batch.run(scope).await
            }
        }
    }
}

struct JournalIntent<'a> {
    ctx: StepContext<'a>,
    record: &'a Record,
}

impl Batch for JournalIntent<'_> {
    type Out = i64;

    async fn run(&self, scope: &Scope) -> Result<i64> {
        let StepContext { session, attempt, .. } = self.ctx;
        session.touch(scope, &attempt.migration, &attempt.counts, &attempt.warnings, None).await?;
        self.ctx.journal(scope, &self.ctx.counts().collection, self.record).await
    }
}
