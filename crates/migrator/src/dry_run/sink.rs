use std::collections::{BTreeMap, BTreeSet};

use docstore::{Collection, Database, Store, Transaction};
use parking_lot::Mutex;

use super::measure::{Measure, measure};
use super::{Sample, apply};
use crate::operation::Deed;
use crate::run::{Attempt, StepOutcome, Work};
use crate::{Error, Result, Settings};

/// The side of an [`Up`](crate::Up) that writes nothing that lasts: each step is looked at as it comes, and noted.
///
/// With a transaction, steps are carried out in it, and reads see that; whoever made the transaction aborts it.
pub(crate) struct DryRunSink<'a> {
    pub(crate) settings: &'a Settings,
    db: &'a Database,
    transaction: Option<&'a Transaction>,
    /// How many documents the transaction may still change.
    pub(crate) left: u64,
    /// Whether there were more.
    pub(crate) too_many: bool,
    pub(crate) noted: Vec<RecordedStep>,
    told: Mutex<Told>,
}

/// What was asked for in between.
#[derive(Default)]
struct Told {
    variables: BTreeMap<String, String>,
    reads: BTreeSet<String>,
}

/// One step, looked at.
#[derive(Debug, Clone)]
pub(crate) struct RecordedStep {
    pub(crate) deed: Deed,
    pub(crate) matched: u64,
    pub(crate) exact: bool,
    pub(crate) samples: Vec<Sample>,
    /// The bytes of what one document would lose, on average.
    pub(crate) bytes_before: u64,
}

impl<'a> DryRunSink<'a> {
    pub(crate) fn new(
        db: &'a Database,
        settings: &'a Settings,
        transaction: Option<&'a Transaction>,
        left: u64,
    ) -> Self {
        Self { settings, db, transaction, left, too_many: false, noted: Vec::new(), told: Mutex::default() }
    }

    /// Where a migration reads.
    pub(crate) fn collection(&self, name: &str) -> Collection {
        self.told(|told| told.reads.insert(name.to_owned()));
        self.store().collection(name)
    }

    fn store(&self) -> &dyn Store {
        match self.transaction {
            Some(transaction) => transaction,
            None => self.db,
        }
    }

    /// Notes that a variable was read.
    pub(crate) fn variable(&self, name: &str, value: &str) {
        self.told(|told| told.variables.insert(name.to_owned(), value.to_owned()));
    }

    /// The variables that were read, with what they hold.
    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        self.told(|told| told.variables.clone())
    }

    /// The collections that were read.
    pub(crate) fn reads(&self) -> BTreeSet<String> {
        self.told(|told| told.reads.clone())
    }

    fn told<T>(&self, with: impl FnOnce(&mut Told) -> T) -> T {
        with(&mut self.told.lock())
    }

    /// Looks at a step, and answers as if it had been carried out.
    pub(crate) async fn note(
        &mut self,
        attempt: &Attempt,
        at: usize,
        work: &Work<'_>,
    ) -> Result<StepOutcome> {
        let counts = &attempt.counts[at];
        let (name, collection) = (&counts.step, &counts.collection);
        let Measure { matched, exact, samples, bytes_before, outcome } =
            measure(self.store(), self.db, collection, work).await?;
        if let Some(transaction) = self.transaction
            && !work.defines()
            && matched > 0
        {
            if matched > self.left {
                self.too_many = true;
                return Err(Error::migration("too many documents to try it"));
            }
            self.left -= matched;
            apply::perform(transaction, collection, work, &outcome).await?;
        }
        let deed = Deed::of(name, collection, work);
        self.noted.push(RecordedStep { deed, matched, exact, samples, bytes_before });
        Ok(outcome)
    }
}
