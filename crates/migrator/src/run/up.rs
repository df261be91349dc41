use bson::{Bson, DateTime, Document};
use docstore::{Field, Filter, Find, Store};

use super::attempt::{Attempt, Inserted, StepOutcome};
use super::live::LiveSink;
use crate::dry_run::DryRunSink;
use crate::operation::{Operation, Value};
use crate::step::Step;
use crate::{Error, Event, MissingEnv, Result, Settings};

/// The interface of a migration to its database: reads, and steps that write.
///
/// Every write is a step: it is idempotent, it is journalled, and it has a name that is unique within the migration. A
/// resumed run recognizes by the name what an earlier attempt did, and reports show it. [`Mode`](crate::Mode) decides how
/// the writes of a step are batched. The methods that write perform the same [`Step`]s that a migration can declare, and
/// return the number of documents or indexes that this attempt changed.
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
    /// Changes made through it are neither journaled nor fenced nor shown by a dry run. Make it idempotent, and revert it
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
        self.step(step.only(filter.clone())).await
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
        self.step(step.only(filter.clone())).await
    }

    /// Performs declared steps in order.
    pub async fn run(&mut self, steps: &[Step]) -> Result<()> {
        for step in steps {
            self.perform(step.clone()).await?;
        }
        Ok(())
    }

    /// Performs one step.
    pub async fn step(&mut self, step: Step) -> Result<u64> {
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

/// The interface of a post-condition to the database. It only reads.
pub struct Check<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) settings: &'a Settings,
    pub(crate) migration: &'a str,
}

impl Check<'_> {
    /// Returns the value of an environment variable.
    ///
    /// # Errors
    /// If the variable is not set.
    pub fn env(&self, name: &str) -> Result<String> {
        env(self.settings, self.migration, name)
    }

    /// Returns the first document of a read.
    pub async fn find_one(&self, collection: &str, find: Find) -> Result<Option<Document>> {
        Ok(self.store.collection(collection).find_one(find).await?)
    }

    /// Returns the documents of a read. Set a limit: all of them are held in memory.
    pub async fn find(&self, collection: &str, find: Find) -> Result<Vec<Document>> {
        Ok(self.store.collection(collection).find(find).await?.documents().await?)
    }

    /// Returns the number of documents that match.
    pub async fn count(&self, collection: &str, filter: &Filter) -> Result<u64> {
        Ok(self.store.collection(collection).count(filter).await?)
    }
}

pub(super) fn env(settings: &Settings, migration: &str, name: &str) -> Result<String> {
    settings.variable(name).ok_or_else(|| {
        Error::MissingEnv(vec![MissingEnv { variable: name.into(), migration: migration.into() }])
    })
}
