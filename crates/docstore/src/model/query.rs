//! Reads: fields, filters, orders, projections, and the reads that they make up.

use std::borrow::Cow;
use std::fmt;

use bson::{Bson, Document, RawArray, RawBsonRef, RawDocument};

use crate::order;
use crate::{Error, Result};

/// The name of a field, or a dotted path to one in nested documents (`auth_providers.provider`).
///
/// A field is created from a `&'static str`, so that input cannot become a field name, or by [`Field::parse`], which
/// validates it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(Cow<'static, str>);

impl Field {
    /// The field `_id`.
    pub const ID: Self = Self(Cow::Borrowed("_id"));

    /// Parses a path that is not a constant.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a part is empty, starts with `$`, contains a NUL or consists of digits: this store does
    /// not address array positions.
    pub fn parse(path: impl Into<String>) -> Result<Self> {
        let field = Self(Cow::Owned(path.into()));
        field.check()?;
        Ok(field)
    }

    /// Validates the path as [`Field::parse`] does; engines call this before they use a field.
    pub(crate) fn check(&self) -> Result<()> {
        let bad = |part: &str| {
            part.is_empty()
                || part.starts_with('$')
                || part.contains('\0')
                || part.bytes().all(|b| b.is_ascii_digit())
        };
        if self.parts().any(bad) {
            return Err(Error::Invalid(format!("{:?} is not a field path", self.as_str())));
        }
        Ok(())
    }

    /// Wraps a path that an engine read from the database, without validating it.
    pub(crate) fn unchecked(path: String) -> Self {
        Self(Cow::Owned(path))
    }

    /// Returns the path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the parts between the dots.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// Returns the value at this path; arrays are not looked into.
    pub fn value_in<'d>(&self, document: &'d Document) -> Option<&'d Bson> {
        let mut parts = self.parts();
        let first = document.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.as_document()?.get(part))
    }

    /// Returns true if the paths are equal or one is a parent of the other.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let (short, long) = if self.0.len() <= other.0.len() { (self, other) } else { (other, self) };
        long.0.strip_prefix(&*short.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl From<&'static str> for Field {
    fn from(path: &'static str) -> Self {
        Self(Cow::Borrowed(path))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Rejects collection names that a MongoDB server would reject.
pub(crate) fn check_collection_name(name: &str) -> Result<()> {
    if name.is_empty() || name.starts_with('.') || name.ends_with('.') || name.contains(['$', '\0']) {
        return Err(Error::Invalid(format!("{name:?} is not a valid collection name")));
    }
    Ok(())
}

/// Accepts the types that both engines store, compare and index alike.
pub(crate) fn check_value(value: &Bson) -> Result<()> {
    match value {
        Bson::Null
        | Bson::Boolean(_)
        | Bson::Int32(_)
        | Bson::Int64(_)
        | Bson::Double(_)
        | Bson::String(_)
        | Bson::DateTime(_)
        | Bson::Timestamp(_)
        | Bson::Binary(_)
        | Bson::ObjectId(_) => Ok(()),
        Bson::Array(values) => values.iter().try_for_each(check_value),
        Bson::Document(document) => document.values().try_for_each(check_value),
        other => Err(Error::Invalid(format!("values of type {:?} are not supported", other.element_type()))),
    }
}

/// Checks that every value of a document has a type that the store keeps, and names the field otherwise.
pub(crate) fn check_document(document: &Document) -> Result<()> {
    if matches!(document.get("_id"), Some(Bson::Array(_))) {
        return Err(Error::Invalid("an id must not be an array".into()));
    }
    for (field, value) in document {
        if let Err(error) = check_value(value) {
            return Err(match error {
                Error::Invalid(what) => Error::Invalid(format!("{field}: {what}")),
                other => other,
            });
        }
    }
    Ok(())
}

/// A condition that selects documents. Both engines follow MongoDB's matching rules:
///
/// - a scalar operand also matches an array that contains it, and paths traverse arrays of documents;
/// - `null` equals a missing field; [`Filter::ne`] matches a missing field;
/// - comparisons (`lt` …) stay within the operand's type: a number never matches a string;
/// - numbers compare by value, whatever their width.
///
/// Operands may be null, booleans, numbers (not decimal128), strings, dates, timestamps, binary, object ids, documents
/// and arrays of these.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Every document.
    All,
    /// The field equals the value.
    Eq(Field, Bson),
    /// The field does not equal the value.
    Ne(Field, Bson),
    /// The field equals one of the values; matches nothing for an empty list.
    In(Field, Vec<Bson>),
    /// The field is less than the value.
    Lt(Field, Bson),
    /// The field is less than or equal to the value.
    Lte(Field, Bson),
    /// The field is greater than the value.
    Gt(Field, Bson),
    /// The field is greater than or equal to the value.
    Gte(Field, Bson),
    /// The field exists; its value may be null.
    Exists(Field),
    /// The field does not exist.
    Missing(Field),
    /// The field is a string, or an array with a string, that starts with this prefix; case-sensitive and accent-sensitive.
    StartsWith(Field, String),
    /// All of the filters match; every document for an empty list.
    And(Vec<Filter>),
    /// At least one of the filters matches; no document for an empty list.
    Or(Vec<Filter>),
    /// The filter does not match.
    Not(Box<Filter>),
}

impl Filter {
    /// [`Filter::Eq`]
    pub fn eq(field: impl Into<Field>, value: impl Into<Bson>) -> Self {
        Self::Eq(field.into(), value.into())
    }

    /// Matches the document with this id.
    pub fn id(value: impl Into<Bson>) -> Self {
        Self::Eq(Field::ID, value.into())
    }

    /// [`Filter::Ne`]
    pub fn ne(field: impl Into<Field>, value: impl Into<Bson>) -> Self {
        Self::Ne(field.into(), value.into())
    }

    /// [`Filter::In`]
    pub fn is_in<V: Into<Bson>>(field: impl Into<Field>, values: impl IntoIterator<Item = V>) -> Self {
        Self::In(field.into(), values.into_iter().map(Into::into).collect())
    }

    /// [`Filter::Lt`]
    pub fn lt(field: impl Into<Field>, value: impl Into<Bson>) -> Self {
        Self::Lt(field.into(), value.into())
    }

    /// [`Filter::Lte`]
    pub fn lte(field: impl Into<Field>, value: impl Into<Bson>) -> Self {
        Self::Lte(field.into(), value.into())
    }

    /// [`Filter::Gt`]
    pub fn gt(field: impl Into<Field>, value: impl Into<Bson>) -> Self {
        Self::Gt(field.into(), value.into())
    }

    /// [`Filter::Gte`]
    pub fn gte(field: impl Into<Field>, value: impl Into<Bson>) -> Self {
        Self::Gte(field.into(), value.into())
    }

    /// [`Filter::Exists`]
    pub fn exists(field: impl Into<Field>) -> Self {
        Self::Exists(field.into())
    }

    /// [`Filter::Missing`]
    pub fn missing(field: impl Into<Field>) -> Self {
        Self::Missing(field.into())
    }

    /// [`Filter::StartsWith`]
    pub fn starts_with(field: impl Into<Field>, prefix: impl Into<String>) -> Self {
        Self::StartsWith(field.into(), prefix.into())
    }

    /// [`Filter::And`]
    pub fn and(filters: impl IntoIterator<Item = Self>) -> Self {
        Self::And(filters.into_iter().collect())
    }

    /// [`Filter::Or`]
    pub fn or(filters: impl IntoIterator<Item = Self>) -> Self {
        Self::Or(filters.into_iter().collect())
    }

    /// Negates the filter.
    #[must_use]
    pub fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Combines both filters with `and`.
    #[must_use]
    pub fn also(self, other: Self) -> Self {
        match self {
            Self::All => other,
            Self::And(mut filters) => {
                filters.push(other);
                Self::And(filters)
            }
            one => Self::And(vec![one, other]),
        }
    }

    /// Returns the conditions that must all hold.
    pub(crate) fn conjuncts(&self) -> Vec<&Self> {
        match self {
            Self::All => Vec::new(),
            Self::And(filters) => filters.iter().flat_map(Self::conjuncts).collect(),
            other => vec![other],
        }
    }

    /// Returns the values that an upsert copies from the filter into the new document: equalities, alone or within `and`.
    pub(crate) fn equalities(&self) -> impl Iterator<Item = (&Field, &Bson)> {
        self.conjuncts().into_iter().filter_map(|condition| match condition {
            Self::Eq(field, value) => Some((field, value)),
            _ => None,
        })
    }
}

impl Filter {
    /// Validates fields and operands; engines call this before they use a filter.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::All => Ok(()),
            Self::Exists(field) | Self::Missing(field) => field.check(),
            Self::StartsWith(field, prefix) => {
                field.check()?;
                if prefix.contains('\0') {
                    return Err(Error::Invalid("a string prefix must not contain a NUL".into()));
                }
                Ok(())
            }
            Self::Eq(field, value)
            | Self::Ne(field, value)
            | Self::Lt(field, value)
            | Self::Lte(field, value)
            | Self::Gt(field, value)
            | Self::Gte(field, value) => {
                field.check()?;
                check_value(value)
            }
            Self::In(field, values) => {
                field.check()?;
                values.iter().try_for_each(check_value)
            }
            Self::And(filters) | Self::Or(filters) => filters.iter().try_for_each(Self::check),
            Self::Not(filter) => filter.check(),
        }
    }
}

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
