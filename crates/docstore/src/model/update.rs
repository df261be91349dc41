use bson::{Bson, Document};

use crate::model::query::{check_document, check_value};
use crate::{Error, Field, Filter, Result};

/// Changes to different fields of a document, applied together.
///
/// Changes are applied in the order of their field paths; new fields are appended in that order, as in MongoDB since 5.0.
/// A change without effect does not count as a modification.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Update {
    ops: Vec<UpdateOp>,
}

/// One change to one field.
#[derive(Debug, Clone, PartialEq)]
pub enum UpdateOp {
    /// Sets the field to the value.
    Set(Field, Bson),
    /// Removes the field.
    Unset(Field),
    /// Adds to a number; a missing field counts as 0. The operand is an int32, an int64 or a double.
    Inc(Field, Bson),
    /// Sets the field only if the update inserts the document.
    SetOnInsert(Field, Bson),
    /// Appends to an array unless it contains an equal element; a missing field becomes an array.
    AddToSet(Field, Bson),
}

impl Update {
    /// Creates an update without changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds [`UpdateOp::Set`]
    #[must_use]
    pub fn set(self, field: impl Into<Field>, value: impl Into<Bson>) -> Self {
        self.with(UpdateOp::Set(field.into(), value.into()))
    }

    /// Adds [`UpdateOp::Unset`]
    #[must_use]
    pub fn unset(self, field: impl Into<Field>) -> Self {
        self.with(UpdateOp::Unset(field.into()))
    }

    /// Adds [`UpdateOp::Inc`]
    #[must_use]
    pub fn inc(self, field: impl Into<Field>, by: impl Into<Bson>) -> Self {
        self.with(UpdateOp::Inc(field.into(), by.into()))
    }

    /// Adds [`UpdateOp::SetOnInsert`]
    #[must_use]
    pub fn set_on_insert(self, field: impl Into<Field>, value: impl Into<Bson>) -> Self {
        self.with(UpdateOp::SetOnInsert(field.into(), value.into()))
    }

    /// Adds [`UpdateOp::AddToSet`]
    #[must_use]
    pub fn add_to_set(self, field: impl Into<Field>, element: impl Into<Bson>) -> Self {
        self.with(UpdateOp::AddToSet(field.into(), element.into()))
    }

    /// Adds a change.
    #[must_use]
    pub fn with(mut self, op: UpdateOp) -> Self {
        self.ops.push(op);
        self
    }

    /// Returns the changes in the order in which they were added.
    pub fn ops(&self) -> &[UpdateOp] {
        &self.ops
    }
}

impl UpdateOp {
    /// Returns the changed field.
    pub fn field(&self) -> &Field {
        match self {
            Self::Set(field, _)
            | Self::Unset(field)
            | Self::Inc(field, _)
            | Self::SetOnInsert(field, _)
            | Self::AddToSet(field, _) => field,
        }
    }
}

/// The result of an update, or the sum of those in a batch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UpdateResult {
    /// Documents that the filter matched; 0 if one was inserted.
    pub matched: u64,
    /// Matched documents that were modified.
    pub modified: u64,
    /// Id of the document that an upsert inserted.
    pub upserted_id: Option<Bson>,
}

/// One write of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Inserts a document.
    Insert(Document),
    /// Updates the first match.
    UpdateOne {
        /// Selects the document.
        filter: Filter,
        /// The changes.
        update: Update,
    },
    /// Updates every match.
    UpdateMany {
        /// Selects the documents.
        filter: Filter,
        /// The changes.
        update: Update,
    },
    /// Deletes every match.
    DeleteMany(Filter),
}

impl Update {
    /// Validates fields and operands, and that no two changes overlap; engines call this before they use an update.
    pub(crate) fn check(&self) -> Result<()> {
        if self.ops().is_empty() {
            return Err(Error::Invalid("an update needs at least one change".into()));
        }
        for (i, op) in self.ops().iter().enumerate() {
            op.field().check()?;
            if op.field().overlaps(&Field::ID) {
                return Err(Error::Invalid("the id of a document must not be changed".into()));
            }
            match op {
                UpdateOp::Unset(_) | UpdateOp::Inc(_, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_)) => {}
                UpdateOp::Inc(field, _) => {
                    return Err(Error::Invalid(format!("the increment of {field} must be a number")));
                }
                UpdateOp::Set(_, v) | UpdateOp::SetOnInsert(_, v) | UpdateOp::AddToSet(_, v) => {
                    check_value(v)?;
                }
            }
            if let Some(other) = self.ops()[..i].iter().find(|o| o.field().overlaps(op.field())) {
                return Err(Error::Invalid(format!(
                    "two changes overlap: {} and {}",
                    other.field(),
                    op.field()
                )));
            }
        }
        Ok(())
    }
}

impl Write {
    /// Checks the arguments of a write.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Insert(document) => check_document(document),
            Self::UpdateOne { filter, update } | Self::UpdateMany { filter, update } => {
                filter.check().and_then(|()| update.check())
            }
            Self::DeleteMany(filter) => filter.check(),
        }
    }
}
