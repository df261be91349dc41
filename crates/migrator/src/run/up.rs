use bson::{Bson, DateTime, Document};
use docstore::{Field, Filter, Find, Index, Projection, Update};

use super::attempt::Attempt;
use super::check::env;
use super::live::LiveSink;
use super::work::{Change, StepOutcome, Work};
use crate::dry_run::DryRunSink;
use crate::{Event, Result, Settings};

/// What a migration is given to do its work: reads, and steps that write.
///
/// Steps are idempotent and journalled. Each has a name that is used once in the migration: it is how a repeated run
/// recognises what it did before, and how people see what happened. How their writes are made is the migration's
/// [`Mode`](crate::Mode).
///
/// Fields that a step changes are fields of the document itself, not paths into it.
pub struct Up<'a> {
    pub(crate) sink: Sink<'a>,
    pub(crate) attempt: &'a mut Attempt,
}

/// Where the steps of an [`Up`] go. A method of it makes a [`Work`] and hands it to one of these; there is no other way
/// to write.
pub(crate) enum Sink<'a> {
    /// They are carried out, under the lease.
    Live(LiveSink<'a>),
    /// They are looked at and noted; nothing is written.
    DryRun(Box<DryRunSink<'a>>),
}

/// What became of an insert.
#[derive(Debug, Clone, PartialEq)]
pub enum Inserted {
    /// The document was inserted, by this attempt or an earlier one, with this id.
    New(Bson),
    /// A document with the key was there already; this is its id.
    Present(Bson),
}

impl<'a> Up<'a> {
    /// One that writes.
    pub(crate) fn real(real: LiveSink<'a>, attempt: &'a mut Attempt) -> Self {
        Self { sink: Sink::Live(real), attempt }
    }

    /// One that only looks.
    pub(crate) fn look(look: DryRunSink<'a>, attempt: &'a mut Attempt) -> Self {
        Self { sink: Sink::DryRun(Box::new(look)), attempt }
    }

    /// What was seen, of one that only looks.
    pub(crate) fn seen(self) -> Option<DryRunSink<'a>> {
        match self.sink {
            Sink::Live(_) => None,
            Sink::DryRun(look) => Some(*look),
        }
    }
}

impl Up<'_> {
    fn settings(&self) -> &Settings {
        match &self.sink {
            Sink::Live(real) => real.session.settings,
            Sink::DryRun(look) => look.settings,
        }
    }

    fn read(&self, collection: &str) -> docstore::Collection {
        match &self.sink {
            Sink::Live(real) => real.store().collection(collection),
            Sink::DryRun(look) => look.collection(collection),
        }
    }

    /// A variable of the configuration; an error if it is not set. The value is never logged.
    pub fn env(&self, name: &str) -> Result<String> {
        let value = env(self.settings(), &self.attempt.migration, name)?;
        if let Sink::DryRun(look) = &self.sink {
            look.variable(name, &value);
        }
        Ok(value)
    }

    /// The time of this attempt: the same at each call.
    pub fn now(&self) -> DateTime {
        self.attempt.now()
    }

    /// The first document of a read.
    pub async fn find_one(&self, collection: &str, find: Find) -> Result<Option<Document>> {
        Ok(self.read(collection).find_one(find).await?)
    }

    /// How many documents match.
    pub async fn count(&self, collection: &str, filter: &Filter) -> Result<u64> {
        Ok(self.read(collection).count(filter).await?)
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
            Sink::Live(live) => docstore::mongo::as_mongo(live.session.db),
            Sink::DryRun(_) => None,
        }
    }

    /// Says that something was left out. It is kept in the ledger and shown as a warning; it names no secret and no
    /// personal data.
    pub fn warn(&mut self, text: impl Into<String>) {
        let warning = text.into();
        let migration = &self.attempt.migration;
        if let Sink::Live(real) = &self.sink {
            real.session.tell(&Event::Skipped { migration, warning: &warning });
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
        match self.perform(step, collection, Work::Insert { key: key.clone(), document }).await? {
            StepOutcome::Inserted(inserted) => Ok(inserted),
            StepOutcome::Changed(_) => unreachable!("an insert says what became of it"),
        }
    }

    /// Inserts documents, each unless there is one that has the same values in the fields of the key. Returns how many
    /// this attempt inserted.
    pub async fn insert_many_if_absent<F: Into<Field>>(
        &mut self,
        step: &str,
        collection: &str,
        key: impl IntoIterator<Item = F> + Send,
        documents: Vec<Document>,
    ) -> Result<u64> {
        let key = key.into_iter().map(Into::into).collect();
        self.count_of(step, collection, Work::InsertMany { key, documents }).await
    }

    /// Sets a field on the matches that do not have it; null counts as having it. Returns how many this attempt
    /// changed.
    pub async fn set_where_missing(
        &mut self,
        step: &str,
        collection: &str,
        filter: &Filter,
        field: impl Into<Field> + Send,
        value: impl Into<Bson> + Send,
    ) -> Result<u64> {
        let change = Change::Set { field: field.into(), value: value.into(), where_missing: true };
        self.change(step, collection, filter, change).await
    }

    /// Sets a field on the matches where it has another value or none. Returns how many this attempt changed.
    pub async fn set(
        &mut self,
        step: &str,
        collection: &str,
        filter: &Filter,
        field: impl Into<Field> + Send,
        value: impl Into<Bson> + Send,
    ) -> Result<u64> {
        let change = Change::Set { field: field.into(), value: value.into(), where_missing: false };
        self.change(step, collection, filter, change).await
    }

    /// Takes a field away from the matches that have it. Returns how many this attempt changed. Taken back, the field
    /// is the last of its document.
    pub async fn unset(
        &mut self,
        step: &str,
        collection: &str,
        filter: &Filter,
        field: impl Into<Field> + Send,
    ) -> Result<u64> {
        self.change(step, collection, filter, Change::Unset { field: field.into() }).await
    }

    /// Gives the matches that have the one field, and not the other, the other with the same value. Returns how many
    /// this attempt changed. It is the second of the three steps of a rename: programs write both, what is there is
    /// copied, the old field is unset.
    pub async fn copy_field(
        &mut self,
        step: &str,
        collection: &str,
        filter: &Filter,
        from: impl Into<Field> + Send,
        to: impl Into<Field> + Send,
    ) -> Result<u64> {
        let change = Change::CopyField { from: from.into(), to: to.into() };
        self.change(step, collection, filter, change).await
    }

    /// Changes each match as a function says, which is given what the projection reads, and may set and unset fields.
    /// Returns how many this attempt changed.
    ///
    /// The function has to be pure, and to return `None`, or the same update again, for a document that it has
    /// changed already: a run that was killed may show it such a one.
    pub async fn update_each(
        &mut self,
        step: &str,
        collection: &str,
        filter: &Filter,
        reads: Projection,
        make: impl Fn(&Document) -> Option<Update> + Send + Sync,
    ) -> Result<u64> {
        let change = Change::Each { reads, make: Box::new(make) };
        self.change(step, collection, filter, change).await
    }

    /// Deletes all matches. Whole documents go into the journal. Returns how many this attempt deleted.
    pub async fn delete(&mut self, step: &str, collection: &str, filter: &Filter) -> Result<u64> {
        self.count_of(step, collection, Work::Delete { filter: filter.clone() }).await
    }

    /// Copies the matches into another collection, those apart whose id is there already. Returns how many this
    /// attempt copied. Indexes are not copied.
    pub async fn copy_collection(
        &mut self,
        step: &str,
        from: &str,
        to: &str,
        filter: &Filter,
    ) -> Result<u64> {
        self.count_of(step, from, Work::Copy { to, filter: filter.clone() }).await
    }

    /// Makes sure that an index is there, under whatever name. Returns whether this attempt made it. Not in
    /// [`Mode::Transaction`](crate::Mode::Transaction).
    pub async fn create_index(&mut self, step: &str, collection: &str, index: &Index) -> Result<bool> {
        Ok(self.count_of(step, collection, Work::CreateIndex { index: index.clone() }).await? > 0)
    }

    /// Makes sure that no index of this name is there; its definition goes into the journal. Returns whether this
    /// attempt dropped it. Not in [`Mode::Transaction`](crate::Mode::Transaction).
    pub async fn drop_index(&mut self, step: &str, collection: &str, name: &str) -> Result<bool> {
        Ok(self.count_of(step, collection, Work::DropIndex { name }).await? > 0)
    }

    async fn change(
        &mut self,
        step: &str,
        collection: &str,
        filter: &Filter,
        change: Change<'_>,
    ) -> Result<u64> {
        let open = change.open(filter);
        self.count_of(step, collection, Work::Change { open, change }).await
    }

    async fn count_of(&mut self, step: &str, collection: &str, work: Work<'_>) -> Result<u64> {
        match self.perform(step, collection, work).await? {
            StepOutcome::Changed(n) => Ok(n),
            StepOutcome::Inserted(_) => unreachable!("only an insert says so"),
        }
    }

    /// The one way from a step to what becomes of it.
    pub(crate) async fn perform(
        &mut self,
        step: &str,
        collection: &str,
        work: Work<'_>,
    ) -> Result<StepOutcome> {
        let at = self.attempt.begin(step, collection)?;
        work.check(step)?;
        let outcome = match &mut self.sink {
            Sink::Live(real) => real.run(self.attempt, at, &work).await?,
            Sink::DryRun(look) => look.note(self.attempt, at, &work).await?,
        };
        self.attempt.end();
        Ok(outcome)
    }
}
