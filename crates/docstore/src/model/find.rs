use bson::{Bson, RawArray, RawBsonRef, RawDocument};

use crate::model::field::check_value;
use crate::order;
use crate::{Error, Field, Filter, Result};

/// The sort direction of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Lowest value first.
    Ascending,
    /// Highest value first.
    Descending,
}

/// The order of a result: by the first field, then by the second, and so on.
///
/// Values of different types sort in MongoDB's type order; a missing field sorts as null. The relative order of documents
/// that are equal in every field is unspecified, so end a sort with [`Field::ID`] where the order must be total.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sort(pub(crate) Vec<(Field, Direction)>);

impl Sort {
    /// Sorts by a field, lowest value first.
    pub fn ascending(field: impl Into<Field>) -> Self {
        Self::default().then_ascending(field)
    }

    /// Sorts by a field, highest value first.
    pub fn descending(field: impl Into<Field>) -> Self {
        Self::default().then_descending(field)
    }

    /// Sorts equal documents by another field, lowest value first.
    #[must_use]
    pub fn then_ascending(mut self, field: impl Into<Field>) -> Self {
        self.0.push((field.into(), Direction::Ascending));
        self
    }

    /// Sorts equal documents by another field, highest value first.
    #[must_use]
    pub fn then_descending(mut self, field: impl Into<Field>) -> Self {
        self.0.push((field.into(), Direction::Descending));
        self
    }

    /// Returns the fields and their directions.
    pub fn fields(&self) -> &[(Field, Direction)] {
        &self.0
    }

    /// Returns the position of a document in this order, for [`Find::after`]: the value of each field, null where it is
    /// missing. An array counts as the element that sorts first.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the sort has a path into nested documents, or if a field holds an empty array or a value of an
    /// unsupported type, for which no position exists.
    pub fn position(&self, document: &RawDocument) -> Result<Vec<Bson>> {
        let value = |(field, direction): &(Field, Direction)| {
            if field.parts().count() > 1 {
                return Err(Error::Invalid(format!("{field} is a path into a nested document")));
            }
            match order::get(document, field.as_str())? {
                None => Ok(Bson::Null),
                Some(RawBsonRef::Array(array)) => first_of(array, *direction),
                Some(value) => owned(value),
            }
        };
        self.0.iter().map(value).collect()
    }
}

/// Converts a value to one that a position can contain.
fn owned(value: RawBsonRef<'_>) -> Result<Bson> {
    let value = Bson::try_from(value).map_err(|error| Error::Invalid(error.to_string()))?;
    check_value(&value).map(|()| value)
}

fn first_of(array: &RawArray, direction: Direction) -> Result<Bson> {
    let mut elements = Vec::new();
    for element in array {
        let element = owned(element.map_err(|error| Error::Invalid(error.to_string()))?)?;
        elements.push((order::encode_value(&element)?, element));
    }
    elements.sort_by(|(a, _), (b, _)| a.cmp(b));
    let first = if direction == Direction::Ascending { elements.into_iter().next() } else { elements.pop() };
    // An empty array sorts before null, where no value of a position does.
    let nowhere = || Error::Invalid("an empty array has no position in a sort".into());
    first.map(|(_, element)| element).ok_or_else(nowhere)
}

/// The fields of a document that a read returns, in the document's order. The id is always included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection(Vec<Field>);

impl Projection {
    /// Includes only the id.
    pub fn id() -> Self {
        Self(Vec::new())
    }

    /// Includes these fields.
    pub fn include<F: Into<Field>>(fields: impl IntoIterator<Item = F>) -> Self {
        Self(fields.into_iter().map(Into::into).collect())
    }

    /// Returns the named fields.
    pub fn fields(&self) -> &[Field] {
        &self.0
    }
}

/// A read of documents: filter, order, start position, number of documents and projection.
#[derive(Debug, Clone, PartialEq)]
pub struct Find {
    /// Selects the documents.
    pub filter: Filter,
    /// The order of the result; unspecified if empty.
    pub sort: Sort,
    /// Returns only documents after this position in the order: one value for each sort field, null for a missing one.
    pub after: Option<Vec<Bson>>,
    /// The number of documents to skip.
    pub skip: u64,
    /// The maximum number of documents; unlimited if `None`.
    pub limit: Option<u64>,
    /// The fields to return; all if `None`.
    pub projection: Option<Projection>,
}

impl Find {
    /// Reads all matches of the filter.
    pub fn new(filter: Filter) -> Self {
        Self { filter, sort: Sort::default(), after: None, skip: 0, limit: None, projection: None }
    }

    /// Sets the order.
    #[must_use]
    pub fn sort(mut self, sort: Sort) -> Self {
        self.sort = sort;
        self
    }

    /// Sets the position after which the read starts; see [`Sort::position`]. An empty position starts at the beginning.
    /// Documents that equal the position in every sort field are excluded. On MongoDB, if the filter is a disjunction (`or`,
    /// `in`), a missing value and null are distinguished in every sort field except the first.
    #[must_use]
    pub fn after(mut self, position: Vec<Bson>) -> Self {
        self.after = Some(position);
        self
    }

    /// Sets the number of documents to skip.
    #[must_use]
    pub fn skip(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Sets the maximum number of documents; 0 reads none.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Sets the fields to return.
    #[must_use]
    pub fn projection(mut self, projection: Projection) -> Self {
        self.projection = Some(projection);
        self
    }
}

/// The execution plan of a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Name of the index that is used; `None` for a full scan.
    pub index: Option<String>,
    /// True if the result is sorted in memory.
    pub sorts_in_memory: bool,
}

impl Sort {
    fn check(&self) -> Result<()> {
        if self.fields().len() > 32 {
            return Err(Error::Invalid("a sort has at most 32 fields".into()));
        }
        for (i, (field, _)) in self.fields().iter().enumerate() {
            field.check()?;
            if self.fields()[..i].iter().any(|(other, _)| other == field) {
                return Err(Error::Invalid(format!("a sort names {field} twice")));
            }
        }
        Ok(())
    }
}

impl Projection {
    fn check(&self) -> Result<()> {
        for (i, field) in self.fields().iter().enumerate() {
            field.check()?;
            if field.overlaps(&Field::ID) {
                return Err(Error::Invalid(
                    "a projection always includes the id and must not name it".into(),
                ));
            }
            if let Some(other) = self.fields()[..i].iter().find(|o| o.overlaps(field)) {
                return Err(Error::Invalid(format!("a projection names {other} and {field}, which overlap")));
            }
        }
        Ok(())
    }
}

impl Find {
    /// Validates the read; engines call this before they use it.
    pub(crate) fn check(&self) -> Result<()> {
        self.filter.check()?;
        self.sort.check()?;
        if let Some(position) = &self.after {
            if !position.is_empty() && position.len() != self.sort.fields().len() {
                return Err(Error::Invalid("a position needs one value for each sort field".into()));
            }
            if position.iter().any(|value| matches!(value, Bson::Array(_))) {
                return Err(Error::Invalid("a position must not contain an array".into()));
            }
            position.iter().try_for_each(check_value)?;
        }
        if self.skip > i64::MAX as u64 || self.limit.is_some_and(|limit| limit > i64::MAX as u64) {
            return Err(Error::Invalid("skip and limit are at most 2^63 - 1".into()));
        }
        self.projection.as_ref().map_or(Ok(()), Projection::check)
    }
}
