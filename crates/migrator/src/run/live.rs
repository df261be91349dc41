use docstore::{Database, Store};

use super::attempt::Attempt;
use super::session::{Batch, RunSession, Scope};
use super::work::{StepOutcome, Work};
use crate::journal::{self, Record};
use crate::{Error, Event, Mode, Result, StepCounts};

/// More documents than these are not changed in one transaction: users of other tools have met the limits of servers
/// from about a thousand on, and the transaction keeps everybody else's hands off them until its end.
const MOST_AT_ONCE: u64 = 10_000;

/// The side of an [`Up`](crate::Up) that carries steps out.
pub(crate) struct LiveSink<'a> {
    pub(crate) session: &'a RunSession<'a>,
    /// The transaction that the whole migration is in, if it is.
    pub(crate) whole: Option<&'a Scope>,
}

/// Where a batch of a step is made.
pub(super) struct StepContext<'a> {
    pub(super) session: &'a RunSession<'a>,
    pub(super) attempt: &'a Attempt,
    /// Which of the attempt's counts are the step's.
    pub(super) at: usize,
}

impl StepContext<'_> {
    pub(super) fn counts(&self) -> &StepCounts {
        &self.attempt.counts[self.at]
    }

    /// Writes down what is about to change, unless the migration has no journal; returns the entry's bytes.
    pub(super) async fn note(&self, scope: &Scope, collection: &str, record: &Record) -> Result<i64> {
        let Attempt { migration, writer, journal, .. } = self.attempt;
        if !journal {
            return Ok(0);
        }
        writer.write(self.session, scope, (migration, &self.counts().step, collection), record).await
    }
}

impl LiveSink<'_> {
    /// What reads see: what was written before, in a transaction too.
    pub(crate) fn store(&self) -> &dyn Store {
        match self.whole {
            Some(scope) => scope,
            None => self.session.db,
        }
    }

    pub(super) fn db(&self) -> &Database {
        self.session.db
    }

    /// Carries out a step.
    pub(crate) async fn run(&self, attempt: &mut Attempt, at: usize, work: &Work<'_>) -> Result<StepOutcome> {
        let (migration, step) = (attempt.migration.clone(), attempt.counts[at].step.clone());
        self.session.tell(&Event::StepStarted { migration: &migration, step: &step });
        if self.whole.is_some() {
            self.fits(attempt, at, work).await?;
        }
        let outcome = match work {
            Work::Change { .. } | Work::Delete { .. } | Work::Copy { .. } => {
                StepOutcome::Changed(self.walk(attempt, at, work).await?)
            }
            Work::Insert { key, document } => {
                StepOutcome::Inserted(self.insert(attempt, at, key, document).await?)
            }
            Work::InsertMany { key, documents } => {
                StepOutcome::Changed(self.insert_many(attempt, at, key, documents).await?)
            }
            Work::CreateIndex { index } => StepOutcome::Changed(self.create_index(attempt, at, index).await?),
            Work::DropIndex { name } => StepOutcome::Changed(self.drop_index(attempt, at, name).await?),
        };
        let counts = &attempt.counts[at];
        tracing::info!(migration, "{counts}");
        self.session.tell(&Event::StepFinished { migration: &migration, counts });
        Ok(outcome)
    }

    /// Refuses what does not fit one transaction.
    async fn fits(&self, attempt: &mut Attempt, at: usize, work: &Work<'_>) -> Result<()> {
        if work.defines() {
            let (id, step) = (attempt.migration.clone(), attempt.counts[at].step.clone());
            return Err(Error::StepNotTransactional { id, step });
        }
        let collection = self.store().collection(&attempt.counts[at].collection);
        let more = match work {
            Work::Change { open: filter, .. } | Work::Delete { filter } | Work::Copy { filter, .. } => {
                collection.count(filter).await?
            }
            Work::InsertMany { documents, .. } => documents.len() as u64,
            Work::Insert { .. } | Work::CreateIndex { .. } | Work::DropIndex { .. } => 1,
        };
        let all = attempt.within + more;
        if all > MOST_AT_ONCE {
            let why = format!(
                "it would change {all} documents in one transaction, and {MOST_AT_ONCE} are the most"
            );
            return Err(Error::ModeUnavailable { id: attempt.migration.clone(), why });
        }
        attempt.within = all;
        Ok(())
    }

    /// Makes a batch: in the transaction of the whole migration, or by itself.
    pub(super) async fn batch<B: Batch>(&self, migration: &str, batch: &B) -> Result<B::Out> {
        match self.whole {
            None => self.session.atomically(migration, batch).await,
            Some(scope) => {
                self.session.may_go_on().await?;
                batch.run(scope).await
            }
        }
    }

    /// Writes to the ledger that a batch is about to begin, where it is not in one transaction with it.
    pub(super) async fn before(session: &RunSession<'_>, attempt: &Attempt, scope: &Scope) -> Result<()> {
        if !scope.is_transaction() {
            let Attempt { migration, counts, warnings, .. } = attempt;
            session.touch(scope, migration, counts, warnings, None).await?;
            session.boundary(migration, scope).await?;
        }
        Ok(())
    }
}

impl Attempt {
    /// Whether the whole of it is one transaction, so that the ledger is written once.
    pub(super) fn is_whole(&self) -> bool {
        self.mode == Mode::Transaction
    }

    /// Whether how far it has come is kept with each batch.
    pub(super) fn keeps_progress(&self) -> bool {
        self.mode == Mode::Batched
    }

    /// Takes over what the journal has of earlier attempts.
    pub(crate) async fn find_journal(&mut self, store: &dyn Store) -> Result<()> {
        self.found = journal::last(store, &self.migration).await?;
        self.writer = journal::JournalWriter::after(self.found);
        Ok(())
    }
}
