//! Changes told as data: idempotent, taken back by the journal, planned, linted and summed up without being run.

/// What is seen of a step, be it declared or made in code.
mod deed;
/// Values that are known only when it runs.
mod value;

use std::fmt;
use std::sync::Arc;

use bson::Document;
use docstore::{Field, Filter, Index, Projection, Update};

pub(crate) use deed::{Deed, Does};
pub use value::Value;

use crate::run::{Change, Work};
use crate::{Result, Up};

/// One change to one collection, told as data. Each has a name that is used once in its migration.
///
/// Fields that are changed are fields of the document itself, not paths into it.
#[derive(Clone)]
pub struct Step {
    name: String,
    collection: String,
    operation: Operation,
}

/// A pure function from a document to what is changed in it.
type Make = Arc<dyn Fn(&Document) -> Option<Update> + Send + Sync>;

#[derive(Clone)]
enum Operation {
    Set { filter: Filter, field: Field, value: Value, where_missing: bool },
    Unset { filter: Filter, field: Field, renamed_to: Option<Field> },
    CopyField { from: Field, to: Field },
    Backfill { filter: Filter, reads: Vec<Field>, make: Make },
    Seed { key: Vec<Field>, documents: Vec<Document>, given: Vec<(Field, Value)> },
    Delete { filter: Filter },
    CopyCollection { to: String, filter: Filter },
    CreateIndex(Index),
    DropIndex(String),
}

impl Step {
    fn new(name: &str, collection: &str, operation: Operation) -> Self {
        Self { name: name.into(), collection: collection.into(), operation }
    }

    /// Gives a field to the documents that do not have it; null counts as having it.
    pub fn add_field(name: &str, collection: &str, field: impl Into<Field>, value: impl Into<Value>) -> Self {
        let (field, value) = (field.into(), value.into());
        Self::new(name, collection, Operation::Set { filter: Filter::All, field, value, where_missing: true })
    }

    /// Gives a field this value wherever it has another one or none.
    pub fn set_field(name: &str, collection: &str, field: impl Into<Field>, value: impl Into<Value>) -> Self {
        let (field, value) = (field.into(), value.into());
        Self::new(
            name,
            collection,
            Operation::Set { filter: Filter::All, field, value, where_missing: false },
        )
    }

    /// Takes a field away.
    pub fn unset_field(name: &str, collection: &str, field: impl Into<Field>) -> Self {
        Self::new(
            name,
            collection,
            Operation::Unset { filter: Filter::All, field: field.into(), renamed_to: None },
        )
    }

    /// The first part of a rename: documents that have the one field get the other, with the same value. Then comes a
    /// program that writes both and reads the new one.
    pub fn rename_begin(name: &str, collection: &str, from: impl Into<Field>, to: impl Into<Field>) -> Self {
        Self::new(name, collection, Operation::CopyField { from: from.into(), to: to.into() })
    }

    /// The second part of a rename, once every program writes both: the same for what older ones have written since the
    /// first.
    pub fn rename_copy(name: &str, collection: &str, from: impl Into<Field>, to: impl Into<Field>) -> Self {
        Self::rename_begin(name, collection, from, to)
    }

    /// The last part of a rename, once no program reads the old field: it is taken away where the new one is. For a
    /// migration of [`Phase::Contract`](crate::Phase::Contract).
    pub fn rename_end(name: &str, collection: &str, from: impl Into<Field>, to: impl Into<Field>) -> Self {
        let to = to.into();
        let filter = Filter::exists(to.clone());
        Self::new(name, collection, Operation::Unset { filter, field: from.into(), renamed_to: Some(to) })
    }

    /// Changes each document as a pure function says, which is given these fields, and may set and unset fields. For a
    /// document that it has changed it has to say `None`, or the same again.
    pub fn backfill<F: Into<Field>>(
        name: &str,
        collection: &str,
        reads: impl IntoIterator<Item = F>,
        make: impl Fn(&Document) -> Option<Update> + Send + Sync + 'static,
    ) -> Self {
        let reads = reads.into_iter().map(Into::into).collect();
        let make = Arc::new(make);
        Self::new(name, collection, Operation::Backfill { filter: Filter::All, reads, make })
    }

    /// Inserts documents, each unless there is one with the same values in the fields of the key.
    pub fn seed<F: Into<Field>>(
        name: &str,
        collection: &str,
        key: impl IntoIterator<Item = F>,
        documents: Vec<Document>,
    ) -> Self {
        let key = key.into_iter().map(Into::into).collect();
        Self::new(name, collection, Operation::Seed { key, documents, given: Vec::new() })
    }

    /// Deletes the documents that the filter matches.
    pub fn delete(name: &str, collection: &str, filter: Filter) -> Self {
        Self::new(name, collection, Operation::Delete { filter })
    }

    /// Copies all documents into another collection, those apart whose id is there. Indexes are not copied.
    pub fn copy_collection(name: &str, from: &str, to: &str) -> Self {
        Self::new(name, from, Operation::CopyCollection { to: to.into(), filter: Filter::All })
    }

    /// Makes sure that an index is there.
    pub fn create_index(name: &str, collection: &str, index: Index) -> Self {
        Self::new(name, collection, Operation::CreateIndex(index))
    }

    /// Makes sure that no index of this name is there.
    pub fn drop_index(name: &str, collection: &str, index: &str) -> Self {
        Self::new(name, collection, Operation::DropIndex(index.into()))
    }

    /// Only for the documents that the filter matches too. For steps that change, delete or copy documents.
    #[must_use]
    pub fn only(mut self, also: Filter) -> Self {
        match &mut self.operation {
            Operation::Set { filter, .. }
            | Operation::Unset { filter, .. }
            | Operation::Backfill { filter, .. }
            | Operation::Delete { filter }
            | Operation::CopyCollection { filter, .. } => {
                *filter = std::mem::replace(filter, Filter::All).also(also);
            }
            Operation::CopyField { .. }
            | Operation::Seed { .. }
            | Operation::CreateIndex(_)
            | Operation::DropIndex(_) => {}
        }
        self
    }

    /// For a seed: each document also has this field, with a value that is known when it runs.
    #[must_use]
    pub fn with(mut self, field: impl Into<Field>, value: impl Into<Value>) -> Self {
        if let Operation::Seed { given, .. } = &mut self.operation {
            given.push((field.into(), value.into()));
        }
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The collection that it changes; of a copy, the one that is read.
    pub fn collection(&self) -> &str {
        &self.collection
    }

    /// What it does, as data: the same for two steps that do the same. Values that are known only when it runs are told
    /// by name. A function is told by the fields that it reads.
    pub fn to_document(&self) -> Document {
        self.deed().to_document()
    }

    /// Whether a function is part of it, which data cannot tell.
    pub(crate) fn is_opaque(&self) -> bool {
        matches!(self.operation, Operation::Backfill { .. })
    }

    /// The variables that it reads.
    pub(crate) fn variables(&self) -> Vec<&'static str> {
        let values: Vec<&Value> = match &self.operation {
            Operation::Set { value, .. } => vec![value],
            Operation::Seed { given, .. } => given.iter().map(|(_, value)| value).collect(),
            _ => Vec::new(),
        };
        values.into_iter().filter_map(Value::variable).collect()
    }

    /// What is seen of it before it runs.
    pub(crate) fn deed(&self) -> Deed {
        let told = |value: &Value| Ok(value.told());
        // Telling a value by name cannot fail.
        let work = self.work(&told).unwrap_or(Work::DropIndex { name: "" });
        let mut deed = Deed::of(&self.name, &self.collection, &work);
        if let (Does::Unset { renamed_to: known, .. }, Operation::Unset { renamed_to, .. }) =
            (&mut deed.does, &self.operation)
        {
            known.clone_from(renamed_to);
        }
        deed
    }

    /// What is to be done, with the values of this run.
    fn work<'s>(&'s self, give: &dyn Fn(&Value) -> Result<bson::Bson>) -> Result<Work<'s>> {
        let change = |filter: &Filter, change: Change<'s>| Work::Change { open: change.open(filter), change };
        Ok(match &self.operation {
            Operation::Set { filter, field, value, where_missing } => {
                let (field, value, where_missing) = (field.clone(), give(value)?, *where_missing);
                change(filter, Change::Set { field, value, where_missing })
            }
            Operation::Unset { filter, field, .. } => change(filter, Change::Unset { field: field.clone() }),
            Operation::CopyField { from, to } => {
                change(&Filter::All, Change::CopyField { from: from.clone(), to: to.clone() })
            }
            Operation::Backfill { filter, reads, make } => {
                let make = Arc::clone(make);
                let reads = Projection::Include(reads.clone());
                change(filter, Change::Each { reads, make: Box::new(move |document| make(document)) })
            }
            Operation::Seed { key, documents, given } => {
                let mut documents = documents.clone();
                for (field, value) in given {
                    let value = give(value)?;
                    for document in &mut documents {
                        document.insert(field.as_str(), value.clone());
                    }
                }
                Work::InsertMany { key: key.clone(), documents }
            }
            Operation::Delete { filter } => Work::Delete { filter: filter.clone() },
            Operation::CopyCollection { to, filter } => Work::Copy { to, filter: filter.clone() },
            Operation::CreateIndex(index) => Work::CreateIndex { index: index.clone() },
            Operation::DropIndex(name) => Work::DropIndex { name },
        })
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.deed())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.deed())
    }
}

impl Up<'_> {
    /// Carries out declared steps, in order.
    pub async fn run(&mut self, steps: &[Step]) -> Result<()> {
        for step in steps {
            let give = |value: &Value| match value {
                Value::Is(value) => Ok(value.clone()),
                Value::Now => Ok(self.now().into()),
                Value::Env(name) => Ok(self.env(name)?.into()),
            };
            let work = step.work(&give)?;
            self.perform(&step.name, &step.collection, work).await?;
        }
        Ok(())
    }
}
