use std::fmt;

use bson::{Bson, Document, doc};
use docstore::{Field, Filter, Index, Projection, Update};

use crate::Result;
use crate::operation::{Operation, UpdateFn, Value};

/// One change to one collection, as data.
///
/// A step can be run again after an interruption, is journalled, and can be planned, linted and included in the
/// migration's checksum without being run. Its name must be unique within the migration: a resumed run recognizes by it
/// what an earlier attempt did, and reports show it.
///
/// Only top-level fields can be changed, and never `_id`.
#[derive(Clone)]
pub struct Step {
    pub(crate) name: String,
    pub(crate) collection: String,
    pub(crate) operation: Operation,
}

impl Step {
    pub(crate) fn new(name: &str, collection: &str, operation: Operation) -> Self {
        Self { name: name.into(), collection: collection.into(), operation }
    }

    /// Sets a field on documents that lack it. A field that is null counts as present.
    pub fn add_field(name: &str, collection: &str, field: impl Into<Field>, value: impl Into<Value>) -> Self {
        let (filter, field, value) = (Filter::All, field.into(), value.into());
        Self::new(name, collection, Operation::Set { filter, field, value, only_missing: true })
    }

    /// Sets a field on documents where it has another value or is missing.
    pub fn set_field(name: &str, collection: &str, field: impl Into<Field>, value: impl Into<Value>) -> Self {
        let (filter, field, value) = (Filter::All, field.into(), value.into());
        Self::new(name, collection, Operation::Set { filter, field, value, only_missing: false })
    }

    /// Removes a field. A rollback restores it as the last field of its document.
    pub fn unset_field(name: &str, collection: &str, field: impl Into<Field>) -> Self {
        let (filter, field) = (Filter::All, field.into());
        Self::new(name, collection, Operation::Unset { filter, field, renamed_to: None })
    }

    /// Begins a rename: copies `from` to `to` where `to` is missing.
    ///
    /// A field is renamed in three releases, so that no change is lost while two of them run at the same time:
    ///
    /// 1. The program reads `from` and writes both fields; its migration has this step.
    /// 2. The program reads `to` and still writes both fields; its migration has [`Step::rename_copy`].
    /// 3. The program uses `to` alone; its migration, of [`Phase::Contract`](crate::Phase::Contract), has
    ///    [`Step::rename_end`].
    ///
    /// Deploy a release once no process of the one before the last is left.
    pub fn rename_begin(name: &str, collection: &str, from: impl Into<Field>, to: impl Into<Field>) -> Self {
        Self::copy_field(name, collection, from.into(), to.into(), true)
    }

    /// Continues a rename, see [`Step::rename_begin`]: copies `from` to `to` where they differ. They differ in documents that
    /// a program from before the first release wrote since.
    pub fn rename_copy(name: &str, collection: &str, from: impl Into<Field>, to: impl Into<Field>) -> Self {
        Self::copy_field(name, collection, from.into(), to.into(), false)
    }

    fn copy_field(name: &str, collection: &str, from: Field, to: Field, only_missing: bool) -> Self {
        Self::new(name, collection, Operation::CopyField { filter: Filter::All, from, to, only_missing })
    }

    /// Ends a rename, see [`Step::rename_begin`]: removes `from` where `to` is equal. Where they differ, an older program
    /// wrote `from` after [`Step::rename_copy`]: both are kept and counted as left, so that no value is lost.
    pub fn rename_end(name: &str, collection: &str, from: impl Into<Field>, to: impl Into<Field>) -> Self {
        let (field, to) = (from.into(), to.into());
        let filter = Filter::exists(to.clone());
        Self::new(name, collection, Operation::Unset { filter, field, renamed_to: Some(to) })
    }

    /// Updates each document by a pure function of the fields it reads.
    ///
    /// The update may only set and unset fields. A resumed run may pass a document that was updated before: the function
    /// must then return `None` or the same update.
    pub fn backfill<F: Into<Field>>(
        name: &str,
        collection: &str,
        reads: impl IntoIterator<Item = F>,
        update: impl Fn(&Document) -> Option<Update> + Send + Sync + 'static,
    ) -> Self {
        let (filter, reads, update) = (Filter::All, Projection::include(reads), UpdateFn::new(update));
        Self::new(name, collection, Operation::UpdateEach { filter, reads, update })
    }

    /// Inserts documents, each unless one exists with the same values in the fields of the key.
    pub fn seed<F: Into<Field>>(
        name: &str,
        collection: &str,
        key: impl IntoIterator<Item = F>,
        documents: Vec<Document>,
    ) -> Self {
        let key = key.into_iter().map(Into::into).collect();
        Self::new(name, collection, Operation::InsertMany { key, documents, given: Vec::new() })
    }

    /// Deletes the documents that match the filter. The journal keeps them whole.
    pub fn delete(name: &str, collection: &str, filter: Filter) -> Self {
        Self::new(name, collection, Operation::Delete { filter })
    }

    /// Copies documents into another collection, except those whose id exists there. Indexes are not copied.
    pub fn copy_collection(name: &str, from: &str, to: &str) -> Self {
        Self::new(name, from, Operation::Copy { to: to.into(), filter: Filter::All })
    }

    /// Creates an index, unless one with the same definition exists under any name. Not available in
    /// [`Mode::Transaction`](crate::Mode::Transaction).
    pub fn create_index(name: &str, collection: &str, index: Index) -> Self {
        Self::new(name, collection, Operation::CreateIndex(index))
    }

    /// Drops the index of this name if it exists. The journal keeps its definition. Not available in
    /// [`Mode::Transaction`](crate::Mode::Transaction).
    pub fn drop_index(name: &str, collection: &str, index: &str) -> Self {
        Self::new(name, collection, Operation::DropIndex(index.into()))
    }

    /// Restricts the step to documents that match the filter. Has no effect on seeds and indexes.
    #[must_use]
    pub fn only(mut self, filter: Filter) -> Self {
        self.operation.restrict(filter);
        self
    }

    /// Adds a field to every document of a seed, for values that are known only when the step runs. Has no effect on other
    /// steps.
    #[must_use]
    pub fn with(mut self, field: impl Into<Field>, value: impl Into<Value>) -> Self {
        if let Operation::InsertMany { given, .. } = &mut self.operation {
            given.push((field.into(), value.into()));
        }
        self
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the collection that the step changes; for a copy, the one that is read.
    pub fn collection(&self) -> &str {
        &self.collection
    }

    /// Returns the collection that the step writes to.
    pub(crate) fn writes_to(&self) -> &str {
        match &self.operation {
            Operation::Copy { to, .. } => to,
            _ => &self.collection,
        }
    }

    /// Returns true if the step changes indexes instead of documents.
    pub(crate) fn is_ddl(&self) -> bool {
        self.operation.is_ddl()
    }

    /// Returns the step as data, equal for two steps that do the same. Values that are resolved when the step runs appear
    /// as placeholders, a function as the fields it reads.
    pub fn to_document(&self) -> Document {
        let mut document = doc! { "step": &self.name, "collection": &self.collection };
        document.extend(self.operation.to_command());
        document
    }

    /// Returns the same step with every value made a literal.
    pub(crate) fn resolve(self, literal: impl Fn(&Value) -> Result<Bson>) -> Result<Self> {
        Ok(Self { operation: self.operation.resolve(literal)?, ..self })
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.collection, self.operation)
    }
}
