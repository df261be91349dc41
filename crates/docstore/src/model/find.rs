use bson::{Bson, RawArray, RawBsonRef, RawDocument};

use crate::model::filter::check_value;
use crate::order::{key_encoding as key, paths};
use crate::{Error, Field, Filter, Result, Update};

/// The order of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Lowest first.
    Ascending,
    /// Highest first.
    Descending,
}

/// The order of a result: by the first field, then the second, …
///
/// Values of different types sort by MongoDB's order of types; a missing field sorts as null. Documents that are
/// equal in every field come in no stated order, so end a sort with [`Field::ID`] where the order must be total.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sort(pub(crate) Vec<(Field, Direction)>);

impl Sort {
    /// Lowest first.
    pub fn ascending(field: impl Into<Field>) -> Self {
        Self::default().then_ascending(field)
    }

    /// Highest first.
    pub fn descending(field: impl Into<Field>) -> Self {
        Self::default().then_descending(field)
    }

    /// Among equals, lowest first.
    #[must_use]
    pub fn then_ascending(mut self, field: impl Into<Field>) -> Self {
        self.0.push((field.into(), Direction::Ascending));
        self
    }

    /// Among equals, highest first.
    #[must_use]
    pub fn then_descending(mut self, field: impl Into<Field>) -> Self {
        self.0.push((field.into(), Direction::Descending));
        self
    }

    /// The fields and their directions.
    pub fn fields(&self) -> &[(Field, Direction)] {
        &self.0
    }

    /// Where a document stands in this order: the value of each field, null where there is none; for [`Find::after`].
    /// Of an array the element counts that comes first.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the sort has a path into nested documents, or no position names where the document stands:
    /// by an empty array, or by a value of a kind that is not stored by this program.
    pub fn position(&self, document: &RawDocument) -> Result<Vec<Bson>> {
        let value = |(field, direction): &(Field, Direction)| {
            if field.parts().count() > 1 {
                return Err(Error::Invalid(format!("{field} leads into a nested document")));
            }
            match paths::get(document, field.as_str())? {
                None => Ok(Bson::Null),
                Some(RawBsonRef::Array(array)) => first_of(array, *direction),
                Some(value) => owned(value),
            }
        };
        self.0.iter().map(value).collect()
    }

    fn check(&self) -> Result<()> {
        if self.0.len() > 32 {
            return Err(Error::Invalid("a sort of more than 32 fields".into()));
        }
        for (i, (field, _)) in self.0.iter().enumerate() {
            field.check()?;
            if self.0[..i].iter().any(|(other, _)| other == field) {
                return Err(Error::Invalid(format!("{field} is named twice in a sort")));
            }
        }
        Ok(())
    }
}

/// A value that a position can have.
fn owned(value: RawBsonRef<'_>) -> Result<Bson> {
    let value = Bson::try_from(value).map_err(|error| Error::Invalid(error.to_string()))?;
    check_value(&value).map(|()| value)
}

fn first_of(array: &RawArray, direction: Direction) -> Result<Bson> {
    let mut elements = Vec::new();
    for element in array {
        let element = owned(element.map_err(|error| Error::Invalid(error.to_string()))?)?;
        elements.push((key::of(&element)?, element));
    }
    elements.sort_by(|(a, _), (b, _)| a.cmp(b));
    let first = if direction == Direction::Ascending { elements.into_iter().next() } else { elements.pop() };
    // It stands before null, where no value stands.
    let nowhere = || Error::Invalid("no position names the place of an empty array".into());
    first.map(|(_, element)| element).ok_or_else(nowhere)
}

/// Which fields of a document are read. The id always is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Projection {
    /// These fields only, in the document's order.
    Include(Vec<Field>),
    /// All but these fields.
    Exclude(Vec<Field>),
}

impl Projection {
    /// [`Projection::Include`]
    pub fn include<F: Into<Field>>(fields: impl IntoIterator<Item = F>) -> Self {
        Self::Include(fields.into_iter().map(Into::into).collect())
    }

    /// [`Projection::Exclude`]
    pub fn exclude<F: Into<Field>>(fields: impl IntoIterator<Item = F>) -> Self {
        Self::Exclude(fields.into_iter().map(Into::into).collect())
    }

    /// The fields named.
    pub fn fields(&self) -> &[Field] {
        match self {
            Self::Include(fields) | Self::Exclude(fields) => fields,
        }
    }

    fn check(&self) -> Result<()> {
        let fields = self.fields();
        for (i, field) in fields.iter().enumerate() {
            field.check()?;
            if field.overlaps(&Field::ID) {
                return Err(Error::Invalid("a projection always has the id and does not name it".into()));
            }
            if let Some(other) = fields[..i].iter().find(|o| o.overlaps(field)) {
                return Err(Error::Invalid(format!("a projection names {other} and {field}, which meet")));
            }
        }
        Ok(())
    }
}

/// A read: which documents, in what order, from where, how many, how much of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Find {
    /// Which documents.
    pub filter: Filter,
    /// In what order; none stated if empty.
    pub sort: Sort,
    /// Only what comes after this position in the order: a value for each of its fields, null for a missing one.
    pub after: Option<Vec<Bson>>,
    /// How many are passed over first.
    pub skip: u64,
    /// How many at the most.
    pub limit: Option<u64>,
    /// Which fields; all if `None`.
    pub projection: Option<Projection>,
}

impl Find {
    /// Everything that the filter matches.
    pub fn new(filter: Filter) -> Self {
        Self { filter, sort: Sort::default(), after: None, skip: 0, limit: None, projection: None }
    }

    /// Sets the order.
    #[must_use]
    pub fn sort(mut self, sort: Sort) -> Self {
        self.sort = sort;
        self
    }

    /// Sets the position after which the read begins; see [`Sort::position`]. An empty one is where a walk begins. Documents that are equal to it in every
    /// field of the order are left out. On MongoDB, if the filter is a choice (`or`, `in`), documents that have no value in
    /// a field of the order and documents that have null in it are told apart, but for the first field.
    #[must_use]
    pub fn after(mut self, position: Vec<Bson>) -> Self {
        self.after = Some(position);
        self
    }

    /// Sets how many are passed over.
    #[must_use]
    pub fn skip(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Sets how many are read at the most; 0 reads none.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Sets which fields are read.
    #[must_use]
    pub fn projection(mut self, projection: Projection) -> Self {
        self.projection = Some(projection);
        self
    }

    /// Engines call it before they use a read.
    pub(crate) fn check(&self) -> Result<()> {
        self.filter.check()?;
        self.sort.check()?;
        if let Some(position) = &self.after {
            if !position.is_empty() && position.len() != self.sort.fields().len() {
                return Err(Error::Invalid("a position has a value for each field of the order".into()));
            }
            if position.iter().any(|value| matches!(value, Bson::Array(_))) {
                return Err(Error::Invalid("no document stands in an order by a whole array".into()));
            }
            position.iter().try_for_each(check_value)?;
        }
        if self.skip > i64::MAX as u64 || self.limit.is_some_and(|limit| limit > i64::MAX as u64) {
            return Err(Error::Invalid("skip and limit go up to 2^63 - 1".into()));
        }
        self.projection.as_ref().map_or(Ok(()), Projection::check)
    }
}

/// Changes the first match and returns it.
#[derive(Debug, Clone, PartialEq)]
pub struct FindAndUpdate {
    /// Which documents.
    pub filter: Filter,
    /// What to change.
    pub update: Update,
    /// Which match is the first.
    pub sort: Sort,
    /// Whether to insert a document if none matches.
    pub upsert: bool,
    /// Whether to return the document as it is afterwards; else as it was before (`None` for an insert).
    pub return_new: bool,
}

impl FindAndUpdate {
    /// Without upsert, returning the document as it is afterwards.
    pub fn new(filter: Filter, update: Update) -> Self {
        Self { filter, update, sort: Sort::default(), upsert: false, return_new: true }
    }

    /// Inserts a document if none matches.
    #[must_use]
    pub fn upsert(mut self) -> Self {
        self.upsert = true;
        self
    }

    /// Sets which match is the first.
    #[must_use]
    pub fn sort(mut self, sort: Sort) -> Self {
        self.sort = sort;
        self
    }

    /// Returns the document as it was before.
    #[must_use]
    pub fn return_old(mut self) -> Self {
        self.return_new = false;
        self
    }

    /// Engines call it before they use it.
    pub(crate) fn check(&self) -> Result<()> {
        self.filter.check()?;
        self.update.check()?;
        self.sort.check()
    }
}

/// The values that an upsert takes over from its filter into the new document: the equalities that hold for
/// certain (`eq`, alone or under `and`).
pub(crate) fn upsert_seeds(filter: &Filter) -> Vec<(&Field, &Bson)> {
    match filter {
        Filter::Eq(field, value) => vec![(field, value)],
        Filter::And(filters) => filters.iter().flat_map(upsert_seeds).collect(),
        _ => Vec::new(),
    }
}

/// How an engine would carry out a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The index that is used, by name; `None` if every document is looked at.
    pub index: Option<String>,
    /// Whether the result is sorted after it was read, in memory.
    pub sorts_in_memory: bool,
}
