use bson::{Bson, Document};
use docstore::{Field, Filter, Index, Projection, Update, UpdateOp};

use super::up::Inserted;
use crate::{Error, Result};

/// The change that a migration makes up for one document; `None` leaves it as it is.
pub(crate) type Make<'w> = dyn Fn(&Document) -> Option<Update> + Send + Sync + 'w;

/// What one step does to one collection. Every writing method of [`Up`](crate::Up) becomes one of these before anything
/// is done with it, so that what is looked at for a plan is what is carried out.
pub(crate) enum Work<'w> {
    /// Changes the documents that the filter matches.
    Change {
        /// Those that are still to be changed: once changed, a document no longer matches, [`Change::Each`] apart.
        open: Filter,
        change: Change<'w>,
    },
    /// Inserts a document unless one matches the key.
    Insert { key: Filter, document: Document },
    /// Inserts documents, each unless there is one with the same values in these fields.
    InsertMany { key: Vec<Field>, documents: Vec<Document> },
    /// Deletes all matches.
    Delete { filter: Filter },
    /// Copies documents into another collection, unless it has one of the same id.
    Copy { to: &'w str, filter: Filter },
    /// Makes sure that an index is there.
    CreateIndex { index: Index },
    /// Makes sure that no index of this name is there.
    DropIndex { name: &'w str },
}

/// What is changed in a document.
pub(crate) enum Change<'w> {
    /// Gives a field this value.
    Set {
        field: Field,
        value: Bson,
        /// Only where there is none, so that there is nothing to be kept.
        where_missing: bool,
    },
    /// Takes a field away.
    Unset { field: Field },
    /// Gives a field what another field has.
    CopyField { from: Field, to: Field },
    /// Whatever the function makes of it, which is given these fields.
    Each { reads: Projection, make: Box<Make<'w>> },
}

/// What came of a step.
#[derive(Debug)]
pub(crate) enum StepOutcome {
    /// This many documents, or one index, were changed by this attempt.
    Changed(u64),
    /// Of an insert.
    Inserted(Inserted),
}

impl Work<'_> {
    /// Whether it is about indexes and rules instead of documents: no transaction takes such a step.
    pub(crate) fn defines(&self) -> bool {
        match self {
            Self::CreateIndex { .. } | Self::DropIndex { .. } => true,
            Self::Change { .. }
            | Self::Insert { .. }
            | Self::InsertMany { .. }
            | Self::Delete { .. }
            | Self::Copy { .. } => false,
        }
    }

    /// Checks what can be known before the store is asked.
    pub(crate) fn check(&self, step: &str) -> Result<()> {
        if let Self::Change { change, .. } = self {
            change.check(step)?;
        }
        Ok(())
    }
}

impl Change<'_> {
    /// The documents among the matches of a filter that this changes.
    pub(crate) fn open(&self, filter: &Filter) -> Filter {
        let filter = filter.clone();
        match self {
            Self::Set { field, where_missing: true, .. } => filter.also(Filter::missing(field.clone())),
            Self::Set { field, value, where_missing: false } => {
                filter.also(Filter::ne(field.clone(), value.clone()))
            }
            Self::Unset { field } => filter.also(Filter::exists(field.clone())),
            Self::CopyField { from, to } => {
                filter.also(Filter::exists(from.clone())).also(Filter::missing(to.clone()))
            }
            Self::Each { .. } => filter,
        }
    }

    /// The update, if it is the same for every document.
    pub(crate) fn same(&self) -> Option<Update> {
        match self {
            Self::Set { field, value, .. } => Some(Update::new().set(field.clone(), value.clone())),
            Self::Unset { field } => Some(Update::new().unset(field.clone())),
            Self::CopyField { .. } | Self::Each { .. } => None,
        }
    }

    /// The update for one document, of which at least [`Change::reads`] was read.
    pub(crate) fn of(&self, document: &Document) -> Option<Update> {
        match self {
            Self::Set { .. } | Self::Unset { .. } => self.same(),
            Self::CopyField { from, to } => {
                document.get(from.as_str()).map(|value| Update::new().set(to.clone(), value.clone()))
            }
            Self::Each { make, .. } => make(document),
        }
    }

    /// What has to be read to know the update.
    pub(crate) fn reads(&self) -> Projection {
        match self {
            Self::Set { .. } | Self::Unset { .. } => Projection::Include(Vec::new()),
            Self::CopyField { from, .. } => Projection::include([from.clone()]),
            Self::Each { reads, .. } => reads.clone(),
        }
    }

    fn check(&self, step: &str) -> Result<()> {
        let fields = match self {
            Self::Set { field, .. } | Self::Unset { field } => vec![field],
            Self::CopyField { from, to } => vec![from, to],
            Self::Each { .. } => Vec::new(),
        };
        fields.into_iter().try_for_each(|field| check_field(step, field))
    }
}

/// The changes of an update, which may only set and unset fields of the document itself: such a change can be made
/// twice, and its journal is what those fields had.
pub(crate) fn plain<'u>(step: &str, update: &'u Update) -> Result<Vec<(&'u Field, Option<&'u Bson>)>> {
    update
        .ops()
        .iter()
        .map(|op| {
            let pair = match op {
                UpdateOp::Set(field, value) => (field, Some(value)),
                UpdateOp::Unset(field) => (field, None),
                other => {
                    return Err(Error::migration(format!(
                        "step {step:?} changes {} otherwise than by setting or unsetting it, which could not be \
                         repeated",
                        other.field()
                    )));
                }
            };
            check_field(step, pair.0)?;
            Ok(pair)
        })
        .collect()
}

fn check_field(step: &str, field: &Field) -> Result<()> {
    if field.parts().count() == 1 && field != &Field::ID {
        return Ok(());
    }
    Err(Error::migration(format!(
        "step {step:?} changes {field}, which is not a field of the document itself that can change"
    )))
}
