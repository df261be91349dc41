use std::collections::BTreeSet;

use docstore::{Collection, Database, Store, Transaction};
use parking_lot::Mutex;

use super::measure::{Measure, measure};
use super::redact::Secrets;
use crate::run::StepOutcome;
use crate::step::Step;
use crate::{Error, Result, Settings};

/// The sink of an [`Up`](crate::Up) that writes nothing that persists: it measures each step and records it.
///
/// With a transaction, steps are applied in it and reads see them; the owner of the transaction aborts it.
pub(crate) struct DryRunSink<'a> {
    pub(crate) settings: &'a Settings,
    db: &'a Database,
    transaction: Option<&'a Transaction>,
    /// The number of documents that the transaction may still change.
    pub(crate) left: u64,
    /// True if a step would change more than that.
    pub(crate) too_many: bool,
    pub(crate) steps: Vec<RecordedStep>,
    pub(super) reads: Mutex<Reads>,
}

/// The variables and the collections that the migration read.
#[derive(Default)]
pub(crate) struct Reads {
    pub(super) variables: Secrets,
    pub(super) collections: BTreeSet<String>,
}

/// A step and what it would do.
pub(crate) struct RecordedStep {
    pub(crate) step: Step,
    pub(super) measure: Measure,
}

impl<'a> DryRunSink<'a> {
    pub(crate) fn new(
        db: &'a Database,
        settings: &'a Settings,
        transaction: Option<&'a Transaction>,
        left: u64,
    ) -> Self {
        Self { settings, db, transaction, left, too_many: false, steps: Vec::new(), reads: Mutex::default() }
    }

    /// Returns a collection to read from.
    pub(crate) fn collection(&self, name: &str) -> Collection {
        self.reads.lock().collections.insert(name.to_owned());
        self.store().collection(name)
    }

    fn store(&self) -> &dyn Store {
        match self.transaction {
            Some(transaction) => transaction,
            None => self.db,
        }
    }

    /// Records that a variable was read.
    pub(crate) fn record_variable(&self, name: &str, value: &str) {
        self.reads.lock().variables.0.insert(name.to_owned(), value.to_owned());
    }

    /// Measures and records a step. Returns the outcome that it would have.
    pub(crate) async fn record(&mut self, step: Step) -> Result<StepOutcome> {
        let mut measure = measure(self.store(), self.db, &step).await?;
        let writes = std::mem::take(&mut measure.writes);
        if let Some(transaction) = self.transaction
            && measure.matched > 0
            && !step.is_ddl()
        {
            if measure.matched > self.left {
                self.too_many = true;
                return Err(Error::migration("it changes too many documents for a trial"));
            }
            self.left -= measure.matched;
            transaction.collection(step.writes_to()).bulk_write(writes).await?;
        }
        let outcome = measure.outcome.clone();
        self.steps.push(RecordedStep { step, measure });
        Ok(outcome)
    }
}
