use bson::Bson;

use crate::model::field::check_value;
use crate::{Error, Field, Result};

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
