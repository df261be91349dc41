use bson::{Bson, DateTime, Document};
use docstore::{Field, Filter, Find};

use super::reads::env;
use super::steps::{Changes, FieldBatch, InsertBatch};
use crate::session::Session;
use crate::{Error, Event, Result, StepCounts};

/// What a migration is given to do its work: reads, and steps that write.
///
/// Steps are idempotent and journalled. Each has a name that is used once in the migration: it is how a repeated run
/// recognises what it did before, and how people see what happened.
pub struct Up<'a> {
    pub(crate) session: &'a Session<'a>,
    pub(crate) attempt: &'a mut Attempt,
}

/// What one attempt did so far.
pub(crate) struct Attempt {
    pub(crate) migration: String,
    pub(crate) counts: Vec<StepCounts>,
    pub(crate) warnings: Vec<String>,
    /// The step at hand, for the error.
    pub(crate) step: Option<String>,
    used: Vec<String>,
    now: DateTime,
}

impl Attempt {
    /// Begins with what earlier attempts have counted.
    pub(crate) fn new(migration: &str, counts: Vec<StepCounts>, now: DateTime) -> Self {
        Self { migration: migration.into(), counts, warnings: Vec::new(), step: None, used: Vec::new(), now }
    }
}

/// What became of an insert.
#[derive(Debug, Clone, PartialEq)]
pub enum Inserted {
    /// The document was inserted, by this attempt or an earlier one, with this id.
    New(Bson),
    /// A document with the key was there already; this is its id.
    Present(Bson),
}

impl Up<'_> {
    /// A variable of the configuration; an error if it is not set. The value is never logged.
    pub fn env(&self, name: &str) -> Result<String> {
        env(self.session.settings, &self.attempt.migration, name)
    }

    /// The time of this attempt: the same at each call.
    pub fn now(&self) -> DateTime {
        self.attempt.now
    }

    /// The first document of a read.
    pub async fn find_one(&self, collection: &str, find: Find) -> Result<Option<Document>> {
        Ok(self.session.db.collection(collection).find_one(find).await?)
    }

    /// How many documents match.
    pub async fn count(&self, collection: &str, filter: &Filter) -> Result<u64> {
        Ok(self.session.db.collection(collection).count(filter).await?)
    }

    /// Says that something was left out. It is kept in the ledger and shown as a warning; it names no secret and no
    /// personal data.
    pub fn warn(&mut self, text: impl Into<String>) {
        let warning = text.into();
        let migration = &self.attempt.migration;
        self.session.tell(&Event::Skipped { migration, warning: &warning });
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
        let at = self.begin(step, collection)?;
        let batch =
            InsertBatch { session: self.session, attempt: self.attempt, at, key, document: &document };
        // A look first: where nothing is to be done nothing is written.
        let inserted = if let Some(found) = batch.present(self.session.db).await? {
            found
        } else {
            let migration = self.attempt.migration.clone();
            let (inserted, counts) = self.session.atomically(&migration, &batch).await?;
            self.attempt.counts[at] = counts;
            inserted
        };
        let counts = &mut self.attempt.counts[at];
        match inserted {
            Inserted::New(_) => counts.inserted = 1,
            Inserted::Present(_) => counts.left = 1,
        }
        self.end(at);
        Ok(inserted)
    }

    /// Sets a field on the matches that do not have it; null counts as having it. Returns how many this attempt
    /// changed. The field is one of the document itself, not a path.
    pub async fn set_where_missing(
        &mut self,
        step: &str,
        collection: &str,
        filter: &Filter,
        field: impl Into<Field>,
        value: impl Into<Bson>,
    ) -> Result<u64> {
        let field = field.into();
        let open = filter.clone().also(Filter::missing(field.clone()));
        self.write(step, collection, open, field, value.into()).await
    }

    /// Sets a field on the matches where it has another value or none; what it had is kept for the undo. Returns how
    /// many this attempt changed. The field is one of the document itself, not a path.
    pub async fn set(
        &mut self,
        step: &str,
        collection: &str,
        filter: &Filter,
        field: impl Into<Field>,
        value: impl Into<Bson>,
    ) -> Result<u64> {
        let (field, value) = (field.into(), value.into());
        let open = filter.clone().also(Filter::ne(field.clone(), value.clone()));
        self.write(step, collection, open, field, value).await
    }

    async fn write(
        &mut self,
        step: &str,
        collection: &str,
        open: Filter,
        field: Field,
        value: Bson,
    ) -> Result<u64> {
        if field.parts().count() != 1 {
            return Err(Error::migration(format!(
                "step {step:?} sets {field}, which is not a field of the document itself"
            )));
        }
        let at = self.begin(step, collection)?;
        let mut changes = Changes::new(&open, &field, &value);
        let documents = self.session.db.collection(collection);
        // A look first: where nothing is to be done nothing is written.
        let mut total = 0;
        if documents.find_one(Find::new(open.clone())).await?.is_some() {
            while !changes.pages.is_end() {
                let batch =
                    FieldBatch { session: self.session, attempt: self.attempt, at, changes: &changes };
                let migration = self.attempt.migration.clone();
                let done = self.session.atomically(&migration, &batch).await?;
                changes.pages = done.pages;
                total += done.changed;
                self.attempt.counts[at].updated += done.changed;
                self.session
                    .tell(&Event::Progress { migration: &migration, counts: &self.attempt.counts[at] });
            }
        }
        self.end(at);
        Ok(total)
    }

    fn begin(&mut self, step: &str, collection: &str) -> Result<usize> {
        let attempt = &mut *self.attempt;
        attempt.step = Some(step.to_owned());
        if attempt.used.iter().any(|used| used == step) {
            return Err(Error::migration(format!("the step name {step:?} is used twice")));
        }
        attempt.used.push(step.to_owned());
        self.session.tell(&Event::StepStarted { migration: &attempt.migration, step });
        let known = attempt.counts.iter().position(|c| c.step == step && c.collection == collection);
        Ok(known.unwrap_or_else(|| {
            attempt.counts.push(StepCounts::new(step, collection));
            attempt.counts.len() - 1
        }))
    }

    fn end(&mut self, at: usize) {
        let (migration, counts) = (&self.attempt.migration, &self.attempt.counts[at]);
        tracing::info!(%migration, "{counts}");
        self.session.tell(&Event::StepFinished { migration, counts });
        self.attempt.step = None;
    }
}
