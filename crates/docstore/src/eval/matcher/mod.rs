//! Filters and positions with encoded operands, so that documents are compared as bytes.

use std::collections::BTreeSet;

use bson::{Bson, RawBsonRef, RawDocument};

use crate::order::{self, KeyField, Path, any_value};
use crate::{Direction, Filter, Find, Result};

/// A filter with its operands encoded.
#[derive(Debug)]
pub(crate) enum CompiledFilter {
    All,
    Leaf(Path, Test),
    And(Vec<CompiledFilter>),
    Or(Vec<CompiledFilter>),
    Not(Box<CompiledFilter>),
}

/// A test of the values at a path.
#[derive(Debug)]
pub(crate) enum Test {
    /// Passes if the value compares to the operand in one of these ways.
    Compare {
        operand: Vec<u8>,
        less: bool,
        equal: bool,
        greater: bool,
    },
    In(BTreeSet<Vec<u8>>),
    Exists,
    StartsWith(String),
}

impl CompiledFilter {
    /// Compiles a checked filter.
    pub(crate) fn new(filter: &Filter) -> Result<Self> {
        let compare = |field, value: &Bson, less, equal, greater| {
            Ok(Self::Leaf(
                Path::from(field),
                Test::Compare { operand: order::encode_value(value)?, less, equal, greater },
            ))
        };
        let set = |field, values: &[Bson]| {
            Ok(Self::Leaf(
                Path::from(field),
                Test::In(values.iter().map(order::encode_value).collect::<Result<_>>()?),
            ))
        };
        let all = |filters: &[Filter]| filters.iter().map(Self::new).collect::<Result<_>>();
        let not = |inner: Result<Self>| inner.map(|inner| Self::Not(Box::new(inner)));
        match filter {
            Filter::All => Ok(Self::All),
            Filter::Eq(f, v) => compare(f, v, false, true, false),
            Filter::Ne(f, v) => not(compare(f, v, false, true, false)),
            Filter::Lt(f, v) => compare(f, v, true, false, false),
            Filter::Lte(f, v) => compare(f, v, true, true, false),
            Filter::Gt(f, v) => compare(f, v, false, false, true),
            Filter::Gte(f, v) => compare(f, v, false, true, true),
            Filter::In(f, values) => set(f, values),
            Filter::Exists(f) => Ok(Self::Leaf(f.into(), Test::Exists)),
            Filter::Missing(f) => not(Ok(Self::Leaf(f.into(), Test::Exists))),
            Filter::StartsWith(f, prefix) => Ok(Self::Leaf(f.into(), Test::StartsWith(prefix.clone()))),
            Filter::And(filters) => Ok(Self::And(all(filters)?)),
            Filter::Or(filters) => Ok(Self::Or(all(filters)?)),
            Filter::Not(inner) => not(Self::new(inner)),
        }
    }

    /// Returns whether a document matches.
    pub(crate) fn matches(&self, document: &RawDocument) -> Result<bool> {
        match self {
            Self::All => Ok(true),
            Self::Leaf(path, test) => test.passes(document, path),
            Self::And(filters) => {
                for filter in filters {
                    if !filter.matches(document)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Or(filters) => {
                for filter in filters {
                    if filter.matches(document)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(filter) => Ok(!filter.matches(document)?),
        }
    }
}

impl Test {
    fn passes(&self, document: &RawDocument, path: &Path) -> Result<bool> {
        let mut scratch = Vec::new();
        match self {
            Self::Exists => any_value(document, &path.0, false, &mut |value| Ok(value.is_some())),
            Self::StartsWith(prefix) => any_value(document, &path.0, true, &mut |value| {
                Ok(matches!(value, Some(RawBsonRef::String(text)) if text.starts_with(prefix.as_str())))
            }),
            Self::In(operands) => any_value(document, &path.0, true, &mut |value| {
                encode(value, &mut scratch)?;
                Ok(operands.contains(&scratch))
            }),
            Self::Compare { operand, less, equal, greater } => {
                any_value(document, &path.0, true, &mut |value| {
                    let tag = value.map_or(order::NULL, order::tag);
                    if operand.first() != Some(&tag) {
                        return Ok(false);
                    }
                    encode(value, &mut scratch)?;
                    Ok(match scratch.cmp(operand) {
                        std::cmp::Ordering::Equal => *equal,
                        // NaN is neither less nor greater than anything.
                        _ if order::is_nan(operand) || order::is_nan(&scratch) => false,
                        std::cmp::Ordering::Less => *less,
                        std::cmp::Ordering::Greater => *greater,
                    })
                })
            }
        }
    }
}

/// A missing value counts as null.
fn encode(value: Option<RawBsonRef<'_>>, out: &mut Vec<u8>) -> Result<()> {
    out.clear();
    order::encode(value.unwrap_or(RawBsonRef::Null), out)
}

/// Decides which documents belong to a read: those that its filter selects after its position.
pub(crate) struct Matcher {
    filter: CompiledFilter,
    /// The sort fields, and the key of the position after which the read begins.
    after: Option<(Vec<KeyField>, Vec<u8>)>,
}

impl Matcher {
    /// Compiles the filter and the position of a checked read.
    pub(crate) fn new(find: &Find) -> Result<Self> {
        let filter = CompiledFilter::new(&find.filter)?;
        // An empty position is the beginning.
        let Some(position) = find.after.as_ref().filter(|position| !position.is_empty()) else {
            return Ok(Self { filter, after: None });
        };
        let mut start = Vec::new();
        for (value, (_, direction)) in position.iter().zip(find.sort.fields()) {
            order::push_field(&mut start, &order::encode_value(value)?, *direction == Direction::Descending);
        }
        Ok(Self { filter, after: Some((order::key_fields(find.sort.fields()), start)) })
    }

    /// Returns whether the read has a position after which it begins.
    pub(crate) fn has_position(&self) -> bool {
        self.after.is_some()
    }

    /// Returns whether a document belongs to the read.
    pub(crate) fn matches(&self, document: &RawDocument) -> Result<bool> {
        // A document that the filter excludes need not have a position.
        if !self.filter.matches(document)? {
            return Ok(false);
        }
        let Some((fields, start)) = &self.after else { return Ok(true) };
        Ok(order::sort_key(document, fields)? > *start)
    }
}

#[cfg(test)]
mod tests;
