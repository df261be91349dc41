use bson::{Bson, DateTime, Document};
use docstore::{Field, Filter, Find, Index, Projection, Update};

use super::attempt::{Attempt, Inserted, StepOutcome};
use super::check::env;
use super::live::LiveSink;
use crate::dry_run::DryRunSink;
use crate::operation::{Operation, Value};
use crate::step::Step;
use crate::{Event, Result, Settings};

/// The interface of a migration to its database: reads, and steps that write.
///
/// Every write is a step: it is idempotent, it is journalled, and it has a name that is unique within the migration. A
/// resumed run recognizes by the name what an earlier attempt did, and reports show it. [`Mode`](crate::Mode) decides how
/// the writes of a step are batched. The methods that write build the same [`Step`]s that a migration can declare, and
/// return the number of documents that this attempt changed.
///
/// Only top-level fields can be changed, and never `_id`.
pub struct Up<'a> {
    pub(crate) sink: Sink<'a>,
    pub(crate) attempt: &'a mut Attempt,
}

/// The destination of an [`Up`]'s steps.
pub(crate) enum Sink<'a> {
    /// Executes steps under the lease.
    Live(LiveSink<'a>),
    /// Measures steps and records them; nothing persists.
    DryRun(Box<DryRunSink<'a>>),
}

impl<'a> Up<'a> {
    pub(crate) fn live(sink: LiveSink<'a>, attempt: &'a mut Attempt) -> Self {
        Self { sink: Sink::Live(sink), attempt }
    }

    pub(crate) fn dry_run(sink: DryRunSink<'a>, attempt: &'a mut Attempt) -> Self {
        Self { sink: Sink::DryRun(Box::new(sink)), attempt }
    }

    /// Returns the sink of a dry run.
    pub(crate) fn into_dry_run(self) -> Option<DryRunSink<'a>> {
        match self.sink {
            Sink::Live(_) => None,
            Sink::DryRun(sink) => Some(*sink),
        }
    }
}

impl Up<'_> {
    fn settings(&self) -> &Settings {
        match &self.sink {
            Sink::Live(sink) => sink.session.settings,
            Sink::DryRun(sink) => sink.settings,
        }
    }

    fn read(&self, collection: &str) -> docstore::Collection {
        match &self.sink {
            Sink::Live(sink) => sink.store().collection(collection),
            Sink::DryRun(sink) => sink.collection(collection),
        }
    }

    /// Returns the value of an environment variable. The value is never logged.
    ///
    /// # Errors
    /// If the variable is not set.
    pub fn env(&self, name: &str) -> Result<String> {
        let value = env(self.settings(), &self.attempt.migration, name)?;
        if let Sink::DryRun(sink) = &self.sink {
            sink.record_variable(name, &value);
        }
        Ok(value)
    }

    /// Returns the driver's handle of the migrated database, for what only a MongoDB server can do: validators, search
    /// indexes, … `None` on the SQLite engine and in a dry run.
    ///
    /// What is done through it is neither journaled nor fenced nor shown by a dry run. Make it idempotent, and revert it
    /// in [`Migration::down`](crate::Migration::down) with [`Undo::Code`](crate::Undo::Code):
    ///
    /// ```ignore
    /// if let Some(server) = cx.mongo() {
    ///     server.run_command(doc! { "collMod": "stories", "validator": { "title": { "$type": "string" } } }).await
    /// }
    /// ```
    pub fn mongo(&self) -> Option<docstore::mongo::mongodb::Database> {
        match &self.sink {
            Sink::Live(sink) => docstore::mongo::as_mongo(sink.session.db),
            Sink::DryRun(_) => None,
        }
    }

    /// Returns the start of this attempt: the same time at each call.
    pub fn now(&self) -> DateTime {
        self.attempt.now()
    }

    /// Returns the first document of a read.
    pub async fn find_one(&self, collection: &str, find: Find) -> Result<Option<Document>> {
        Ok(self.read(collection).find_one(find).await?)
    }

    /// Returns the number of documents that match.
    pub async fn count(&self, collection: &str, filter: &Filter) -> Result<u64> {
        Ok(self.read(collection).count(filter).await?)
    }

    /// Reports something that the migration leaves undone. The warning is kept in the ledger and shown to the operator, so
    /// it must contain no secret and no personal data.
    pub fn warn(&mut self, text: impl Into<String>) {
        let warning = text.into();
        let migration = &self.attempt.migration;
        if let Sink::Live(sink) = &self.sink {
            sink.session.emit(&Event::Skipped { migration, warning: &warning });
        }
        self.attempt.warnings.push(warning);
    }

    /// Inserts a document unless one matches the key.
    pub async fn insert_if_absent(
        &mut self,
        step: &str,
        collection: &str,
        key: &Filter,
        document: Document,
    ) -> Result<Inserted> {
        let operation = Operation::Insert { key: key.clone(), document };
        match self.perform(Step::new(step, collection, operation)).await? {
            StepOutcome::Inserted(inserted) => Ok(inserted),
            StepOutcome::Changed(_) => unreachable!("the outcome of `Operation::Insert` is `Inserted`"),
        }
    }

    /// Inserts documents, each unless one exists with the same values in the fields of the key.
    pub async fn insert_many_if_absent<F: Into<Field>>(
        &mut self,
        step: &str,
        collection: &str,
        key: impl IntoIterator<Item = F> + Send,
        documents: Vec<Document>,
    ) -> Result<u64> {
        self.change(Step::seed(step, collection, key, documents)).await
    }

    /// Sets a field on the matching documents that lack it. A field that is null counts as present.
    pub async fn set_where_missing(
        &mut self,
        step: &str,
        collection: &str,
        filter: &Filter,
        field: impl Into<Field> + Send,
        value: impl Into<Bson> + Send,
    ) -> Result<u64> {
        let step = Step::add_field(step, collection, field, Value::Is(value.into()));
        self.change(step.only(filter.clone())).await
    }

    /// Sets a field on the matching documents where it has another value or is missing.
    pub async fn set(
        &mut self,
        step: &str,
        collection: &str,
        filter: &Filter,
        field: impl Into<Field> + Send,
        value: impl Into<Bson> + Send,
    ) -> Result<u64> {
        let step = Step::set_field(step, collection, field, Value::Is(value.into()));
        self.change(step.only(filter.clone())).await
    }

    /// Removes a field from the matching documents. A rollback restores it as the last field of its document.
    pub async fn unset(
        &mut self,
        step: &str,
        collection: &str,
        filter: &Filter,
        field: impl Into<Field> + Send,
    ) -> Result<u64> {
        self.change(Step::unset_field(step, collection, field).only(filter.clone())).await
    }

    /// Copies one field to another in the matching documents that have the first and lack the second. See
    /// [`Step::rename_begin`] for how to rename a field.
    pub async fn copy_field(
        &mut self,
        step: &str,
        collection: &str,
        filter: &Filter,
        from: impl Into<Field> + Send,
        to: impl Into<Field> + Send,
    ) -> Result<u64> {
        self.change(Step::rename_begin(step, collection, from, to).only(filter.clone())).await
    }

    /// Updates each matching document by a pure function of the fields that the projection reads.
    ///
    /// The update may only set and unset fields. A resumed run may pass a document that was updated before: the function
    /// must then return `None` or the same update.
    pub async fn update_each(
        &mut self,
        step: &str,
        collection: &str,
        filter: &Filter,
        reads: Projection,
        update: impl Fn(&Document) -> Option<Update> + Send + Sync + 'static,
    ) -> Result<u64> {
        self.change(Step::update_each(step, collection, reads, update).only(filter.clone())).await
    }

    /// Deletes the matching documents. The journal keeps them whole.
    pub async fn delete(&mut self, step: &str, collection: &str, filter: &Filter) -> Result<u64> {
        self.change(Step::delete(step, collection, filter.clone())).await
    }

    /// Copies the matching documents into another collection, except those whose id exists there. Indexes are not copied.
    pub async fn copy_collection(
        &mut self,
        step: &str,
        from: &str,
        to: &str,
        filter: &Filter,
    ) -> Result<u64> {
        self.change(Step::copy_collection(step, from, to).only(filter.clone())).await
    }

    /// Creates an index, unless one with the same definition exists under any name. Returns whether this attempt created
    /// it. Not available in [`Mode::Transaction`](crate::Mode::Transaction).
    pub async fn create_index(&mut self, step: &str, collection: &str, index: &Index) -> Result<bool> {
        Ok(self.change(Step::create_index(step, collection, index.clone())).await? > 0)
    }

    /// Drops the index of this name if it exists. The journal keeps its definition. Returns whether this attempt dropped
    /// it. Not available in [`Mode::Transaction`](crate::Mode::Transaction).
    pub async fn drop_index(&mut self, step: &str, collection: &str, name: &str) -> Result<bool> {
        Ok(self.change(Step::drop_index(step, collection, name)).await? > 0)
    }

    /// Performs declared steps in order.
    pub async fn run(&mut self, steps: &[Step]) -> Result<()> {
        for step in steps {
            self.perform(step.clone()).await?;
        }
        Ok(())
    }

    async fn change(&mut self, step: Step) -> Result<u64> {
        match self.perform(step).await? {
            StepOutcome::Changed(n) => Ok(n),
            StepOutcome::Inserted(_) => unreachable!("only `Operation::Insert` has this outcome"),
        }
    }

    /// Sends a step to the sink. All writes of a migration pass through here.
    async fn perform(&mut self, step: Step) -> Result<StepOutcome> {
        let step = step.resolve(|value| match value {
            Value::Is(value) => Ok(value.clone()),
            Value::Now => Ok(self.now().into()),
            Value::Env(name) => Ok(self.env(name)?.into()),
        })?;
        let at = self.attempt.begin(&step.name, &step.collection)?;
        step.operation.validate(&step.name)?;
        let outcome = match &mut self.sink {
            Sink::Live(sink) => sink.execute(self.attempt, at, &step.operation).await?,
            Sink::DryRun(sink) => sink.record(step).await?,
        };
        self.attempt.end();
        Ok(outcome)
    }
}
