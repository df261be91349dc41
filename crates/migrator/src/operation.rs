use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bson::{Bson, DateTime, Document, doc};
use docstore::{Field, Filter, Index, Projection, Update, UpdateOp};

use crate::graph::panicked;
use crate::notation::{Extended, ExtendedDocument};
use crate::{Error, Result};

/// A value of a step: a literal, or one that is resolved when the step runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// This value.
    Is(Bson),
    /// The start of the attempt: the same in all its steps.
    Now,
    /// The value of an environment variable. Declare it with [`Meta::requires_env`](crate::Meta::requires_env).
    Env(&'static str),
}

impl Value {
    /// Returns the literal, or a placeholder such as `${now}` for a value that is resolved when the step runs.
    pub(crate) fn to_bson(&self) -> Bson {
        match self {
            Self::Is(value) => value.clone(),
            Self::Now => Bson::String("${now}".into()),
            Self::Env(name) => Bson::String(format!("${{{name}}}")),
        }
    }
}

macro_rules! literals {
    ($($kind:ty),+) => {$(
        impl From<$kind> for Value {
            fn from(value: $kind) -> Self {
                Self::Is(value.into())
            }
        }
    )+};
}

literals!(Bson, &str, String, i32, i64, f64, bool, DateTime, Document, bson::oid::ObjectId);

/// A pure function from a document to its update; `None` leaves the document as it is.
#[derive(Clone)]
pub(crate) struct UpdateFn(Arc<DynUpdateFn>);

type DynUpdateFn = dyn Fn(&Document) -> Option<Update> + Send + Sync;

impl UpdateFn {
    pub(crate) fn new(function: impl Fn(&Document) -> Option<Update> + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }

    fn call(&self, document: &Document) -> Result<Option<Update>> {
        catch_unwind(AssertUnwindSafe(|| self.0(document))).map_err(|panic| {
            let id = document.get("_id").unwrap_or(&Bson::Null);
            panicked(&format!("the function of the step, called with the document {id},"), panic)
        })
    }
}

impl fmt::Debug for UpdateFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a function")
    }
}

/// The change that a step makes to its collection.
///
/// Declared steps and the methods of [`Up`](crate::Up) build the same operations. Lint, dry run, execution and checksums
/// all read them, so a plan shows exactly what a run does.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    /// Sets a field, everywhere or only where it is missing.
    Set { filter: Filter, field: Field, value: Value, only_missing: bool },
    /// Removes a field. At the end of a rename, `renamed_to` is the field that replaces it, and it must be equal.
    Unset { filter: Filter, field: Field, renamed_to: Option<Field> },
    /// Copies one field to another, where that one differs or only where it is missing.
    CopyField { filter: Filter, from: Field, to: Field, only_missing: bool },
    /// Applies the update that a function makes of the fields it reads.
    UpdateEach { filter: Filter, reads: Projection, update: UpdateFn },
    /// Inserts a document unless one matches the key.
    Insert { key: Filter, document: Document },
    /// Inserts documents, each unless one has the same values in the key's fields. Each also gets the `given` fields.
    InsertMany { key: Vec<Field>, documents: Vec<Document>, given: Vec<(Field, Value)> },
    /// Deletes documents.
    Delete { filter: Filter },
    /// Copies documents into another collection, except those whose id exists there.
    Copy { to: String, filter: Filter },
    /// Creates an index unless it exists.
    CreateIndex(Index),
    /// Drops the index of this name if it exists.
    DropIndex(String),
}

impl Operation {
    /// Narrows the documents that the operation changes. Inserts and index operations have no filter to narrow.
    pub(crate) fn restrict(&mut self, also: Filter) {
        match self {
            Self::Set { filter, .. }
            | Self::Unset { filter, .. }
            | Self::CopyField { filter, .. }
            | Self::UpdateEach { filter, .. }
            | Self::Delete { filter }
            | Self::Copy { filter, .. } => *filter = std::mem::replace(filter, Filter::All).also(also),
            Self::Insert { .. } | Self::InsertMany { .. } | Self::CreateIndex(_) | Self::DropIndex(_) => {}
        }
    }

    /// Returns the same operation with every value made a literal.
    pub(crate) fn resolve(self, literal: impl Fn(&Value) -> Result<Bson>) -> Result<Self> {
        Ok(match self {
            Self::Set { filter, field, value, only_missing } => {
                Self::Set { filter, field, value: Value::Is(literal(&value)?), only_missing }
            }
            Self::InsertMany { key, mut documents, given } => {
                for (field, value) in given {
                    insert_field(&mut documents, &field, &literal(&value)?);
                }
                Self::InsertMany { key, documents, given: Vec::new() }
            }
            other => other,
        })
    }

    /// Refuses what can be known to be wrong before the store is asked.
    pub(crate) fn validate(&self, step: &str) -> Result<()> {
        match self {
            Self::Set { field, .. } | Self::Unset { field, .. } => check_field(step, field),
            Self::CopyField { from, to, .. } => check_field(step, from).and_then(|()| check_field(step, to)),
            _ => Ok(()),
        }
    }

    /// Returns the filter of the documents that are still to be changed; `None` for inserts and indexes.
    ///
    /// A changed document no longer matches, except with [`Operation::UpdateEach`], [`Operation::Copy`] and a copy of a field
    /// that differs.
    pub(crate) fn pending(&self) -> Option<Filter> {
        let (filter, pending) = match self {
            Self::Set { filter, field, only_missing: true, .. } => {
                (filter, Some(Filter::missing(field.clone())))
            }
            Self::Set { filter, field, value, only_missing: false } => {
                (filter, Some(Filter::ne(field.clone(), value.to_bson())))
            }
            Self::Unset { filter, field, .. } => (filter, Some(Filter::exists(field.clone()))),
            Self::CopyField { filter, from, to, only_missing } => {
                let filter = filter.clone().also(Filter::exists(from.clone()));
                return Some(if *only_missing { filter.also(Filter::missing(to.clone())) } else { filter });
            }
            Self::UpdateEach { filter, .. } | Self::Delete { filter } | Self::Copy { filter, .. } => {
                (filter, None)
            }
            Self::Insert { .. } | Self::InsertMany { .. } | Self::CreateIndex(_) | Self::DropIndex(_) => {
                return None;
            }
        };
        Some(pending.into_iter().fold(filter.clone(), Filter::also))
    }

    /// Returns the field and its new value, if they are the same for every document; no value if the field is removed.
    pub(crate) fn uniform_change(&self) -> Option<(&Field, Option<Bson>)> {
        match self {
            Self::Set { field, value, .. } => Some((field, Some(value.to_bson()))),
            Self::Unset { field, renamed_to: None, .. } => Some((field, None)),
            _ => None,
        }
    }

    /// Returns the update, if it is the same for every document.
    pub(crate) fn uniform_update(&self) -> Option<Update> {
        self.uniform_change().map(|(field, value)| match value {
            Some(value) => Update::new().set(field.clone(), value),
            None => Update::new().unset(field.clone()),
        })
    }

    /// Returns the update of one document, of which at least [`Operation::reads`] was read.
    ///
    /// # Errors
    /// If the migration's function panicked.
    pub(crate) fn update_for(&self, document: &Document) -> Result<Option<Update>> {
        Ok(match self {
            Self::CopyField { from, to, .. } => {
                let value =
                    document.get(from.as_str()).filter(|value| document.get(to.as_str()) != Some(value));
                value.map(|value| Update::new().set(to.clone(), value.clone()))
            }
            Self::Unset { field, renamed_to: Some(to), .. } => {
                let is_copied = document.get(field.as_str()) == document.get(to.as_str());
                is_copied.then(|| Update::new().unset(field.clone()))
            }
            Self::UpdateEach { update, .. } => update.call(document)?,
            _ => self.uniform_update(),
        })
    }

    /// Returns the fields that [`Operation::update_for`] needs.
    pub(crate) fn reads(&self) -> Projection {
        match self {
            Self::CopyField { from, to, .. } | Self::Unset { field: from, renamed_to: Some(to), .. } => {
                Projection::include([from.clone(), to.clone()])
            }
            Self::UpdateEach { reads, .. } => reads.clone(),
            _ => Projection::id(),
        }
    }

    /// Returns the field that documents get, if it is known.
    pub(crate) fn written_field(&self) -> Option<&Field> {
        match self {
            Self::Set { field, .. } | Self::CopyField { to: field, .. } => Some(field),
            _ => None,
        }
    }

    /// Returns true if the operation changes indexes instead of documents. No transaction takes such an operation.
    pub(crate) fn is_ddl(&self) -> bool {
        matches!(self, Self::CreateIndex(_) | Self::DropIndex(_))
    }

    /// Returns true if a function is part of the operation, so that its description does not say everything.
    pub(crate) fn is_opaque(&self) -> bool {
        matches!(self, Self::UpdateEach { .. })
    }

    /// Returns the environment variables that the operation reads.
    pub(crate) fn variables(&self) -> Vec<&'static str> {
        let values: Vec<&Value> = match self {
            Self::Set { value, .. } => vec![value],
            Self::InsertMany { given, .. } => given.iter().map(|(_, value)| value).collect(),
            _ => Vec::new(),
        };
        values
            .into_iter()
            .filter_map(|value| if let Value::Env(name) = value { Some(*name) } else { None })
            .collect()
    }

    /// Returns the operation as data, in MongoDB's terms where it has any. A function appears as the fields it reads.
    pub(crate) fn to_command(&self) -> Document {
        let names = |fields: &[Field]| fields.iter().map(|f| Bson::from(f.as_str())).collect::<Vec<_>>();
        let pending = || self.pending().unwrap_or(Filter::All).to_mql();
        match self {
            Self::Set { field, value, .. } => {
                doc! { "update": pending(), "with": { "$set": { field.as_str(): value.to_bson() } } }
            }
            Self::Unset { field, .. } => {
                doc! { "update": pending(), "with": { "$unset": { field.as_str(): "" } } }
            }
            Self::CopyField { from, to, .. } => {
                doc! { "update": pending(), "with": [{ "$set": { to.as_str(): format!("${from}") } }] }
            }
            Self::UpdateEach { reads, .. } => {
                doc! { "update": pending(), "with_function_of": names(reads.fields()) }
            }
            Self::Insert { key, document } => doc! { "insert": [document.clone()], "unless": key.to_mql() },
            Self::InsertMany { key, documents, given } => {
                let mut documents = documents.clone();
                for (field, value) in given {
                    insert_field(&mut documents, field, &value.to_bson());
                }
                doc! { "insert": documents, "unless_same": names(key) }
            }
            Self::Delete { .. } => doc! { "delete": pending() },
            Self::Copy { to, .. } => doc! { "copy": pending(), "to": to },
            Self::CreateIndex(index) => doc! { "create_index": index.to_mql() },
            Self::DropIndex(name) => doc! { "drop_index": name },
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |fields: &[Field]| fields.iter().map(Field::as_str).collect::<Vec<_>>().join(", ");
        match self {
            Self::Set { field, value, .. } => write!(f, "set {field} to {}", Extended(&value.to_bson()))?,
            Self::Unset { field, .. } => write!(f, "unset {field}")?,
            Self::CopyField { from, to, .. } => write!(f, "copy {from} to {to}")?,
            Self::UpdateEach { reads, .. } => write!(f, "update by a function of {}", names(reads.fields()))?,
            Self::Insert { key, document } => {
                let (document, key) = (ExtendedDocument(document), key.to_mql());
                write!(f, "insert {document} unless one matches {}", ExtendedDocument(&key))?;
            }
            Self::InsertMany { key, documents, .. } => {
                write!(f, "insert {} documents unless {} exists", documents.len(), names(key))?;
            }
            Self::Delete { .. } => f.write_str("delete documents")?,
            Self::Copy { to, .. } => write!(f, "copy documents to {to}")?,
            Self::CreateIndex(index) => write!(f, "create index {index}")?,
            Self::DropIndex(name) => write!(f, "drop index {name}")?,
        }
        match self.pending() {
            None | Some(Filter::All) => Ok(()),
            Some(filter) => write!(f, " where {}", ExtendedDocument(&filter.to_mql())),
        }
    }
}

/// Returns the changes of an update, which may only set and unset top-level fields: such an update can be repeated, and
/// the previous values of its fields suffice to undo it.
pub(crate) fn set_and_unset<'u>(
    step: &str,
    update: &'u Update,
) -> Result<Vec<(&'u Field, Option<&'u Bson>)>> {
    let change = |op: &'u UpdateOp| {
        let (field, value) = match op {
            UpdateOp::Set(field, value) => (field, Some(value)),
            UpdateOp::Unset(field) => (field, None),
            other => {
                let field = other.field();
                return Err(Error::migration(format!(
                    "step {step:?} changes {field} other than by set or unset, which cannot be repeated safely"
                )));
            }
        };
        check_field(step, field)?;
        Ok((field, value))
    };
    update.ops().iter().map(change).collect()
}

fn insert_field(documents: &mut [Document], field: &Field, value: &Bson) {
    for document in documents {
        document.insert(field.as_str(), value.clone());
    }
}

fn check_field(step: &str, field: &Field) -> Result<()> {
    if field.parts().count() == 1 && field != &Field::ID {
        return Ok(());
    }
    Err(Error::migration(format!(
        "step {step:?} cannot change {field}: only top-level fields other than _id can be changed"
    )))
}
