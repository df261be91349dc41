use bson::{Bson, Document};

use crate::model::filter::check_value;
use crate::{Error, Field, Filter, Result};

/// What is changed in a document: a list of changes to different fields, made together.
///
/// Changes are made in the order of their field paths; fields that come new are appended in that order, as MongoDB
/// does since 5.0. A change that alters nothing does not count as a modification.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Update {
    ops: Vec<UpdateOp>,
}

/// One change to one field.
#[derive(Debug, Clone, PartialEq)]
pub enum UpdateOp {
    /// Gives the field this value.
    Set(Field, Bson),
    /// Takes the field away.
    Unset(Field),
    /// Adds to a number; a missing field counts as 0. The operand is an int32, an int64 or a double.
    Inc(Field, Bson),
    /// As `Set`, but only if the update inserts the document.
    SetOnInsert(Field, Bson),
    /// Appends to an array; a missing field becomes one.
    Push(Field, Bson),
    /// Removes every element equal to the value from an array.
    Pull(Field, Bson),
    /// Appends to an array unless an equal element is in it.
    AddToSet(Field, Bson),
}

impl Update {
    /// Nothing yet.
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

    /// Adds [`UpdateOp::Push`]
    #[must_use]
    pub fn push(self, field: impl Into<Field>, element: impl Into<Bson>) -> Self {
        self.with(UpdateOp::Push(field.into(), element.into()))
    }

    /// Adds [`UpdateOp::Pull`]
    #[must_use]
    pub fn pull(self, field: impl Into<Field>, element: impl Into<Bson>) -> Self {
        self.with(UpdateOp::Pull(field.into(), element.into()))
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

    /// The changes, as given.
    pub fn ops(&self) -> &[UpdateOp] {
        &self.ops
    }

    /// Checks fields, operands and that no two changes meet; engines call it before they use an update.
    pub(crate) fn check(&self) -> Result<()> {
        if self.ops.is_empty() {
            return Err(Error::Invalid("an update without a change".into()));
        }
        for (i, op) in self.ops.iter().enumerate() {
            op.field().check()?;
            if op.field().overlaps(&Field::ID) {
                return Err(Error::Invalid("the id of a document cannot be changed".into()));
            }
            match op {
                UpdateOp::Unset(_) | UpdateOp::Inc(_, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_)) => {}
                UpdateOp::Inc(field, _) => {
                    return Err(Error::Invalid(format!("{field} can only be increased by a number")));
                }
                UpdateOp::Set(_, v)
                | UpdateOp::SetOnInsert(_, v)
                | UpdateOp::Push(_, v)
                | UpdateOp::Pull(_, v)
                | UpdateOp::AddToSet(_, v) => check_value(v)?,
            }
            if let Some(other) = self.ops[..i].iter().find(|o| o.field().overlaps(op.field())) {
                return Err(Error::Invalid(format!(
                    "two changes meet: {} and {}",
                    other.field(),
                    op.field()
                )));
            }
        }
        Ok(())
    }
}

impl UpdateOp {
    /// The field that is changed.
    pub fn field(&self) -> &Field {
        match self {
            Self::Set(field, _)
            | Self::Unset(field)
            | Self::Inc(field, _)
            | Self::SetOnInsert(field, _)
            | Self::Push(field, _)
            | Self::Pull(field, _)
            | Self::AddToSet(field, _) => field,
        }
    }
}

/// What an update did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UpdateResult {
    /// Documents that the filter matched; 0 if one was inserted.
    pub matched: u64,
    /// Of those, documents that are different now.
    pub modified: u64,
    /// The id of the document that an upsert inserted.
    pub upserted_id: Option<Bson>,
}

/// One write of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Inserts a document.
    Insert(Document),
    /// Updates the first match.
    UpdateOne {
        /// Which document.
        filter: Filter,
        /// What to change.
        update: Update,
        /// Whether to insert one if none matches.
        upsert: bool,
    },
    /// Updates every match.
    UpdateMany {
        /// Which documents.
        filter: Filter,
        /// What to change.
        update: Update,
    },
    /// Deletes the first match.
    DeleteOne(Filter),
    /// Deletes every match.
    DeleteMany(Filter),
}

/// What a batch of writes did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriteResult {
    /// Documents inserted, upserts apart.
    pub inserted: u64,
    /// Documents matched by updates.
    pub matched: u64,
    /// Documents changed by updates.
    pub modified: u64,
    /// Documents inserted by updates.
    pub upserted: u64,
    /// Documents deleted.
    pub deleted: u64,
}
