//! The choice of an index for a read, and the ranges of its keys that the filter selects.
//!
//! One index as a rule: its leading fields have equalities, then one field may have a range; what is left of it may
//! give the order. The whole filter is checked again on each document, so a plan may only ever reach too many
//! documents, never too few.

/// Several ranges at once, in the order that they have in common.
mod merged;

use std::sync::Arc;

use bson::Bson;

use crate::order;
use crate::sqlite::catalog::{CollectionMeta, IndexMeta};
use crate::{Direction, Field, Filter, Index, Plan, Result, Sort};

/// Maximum number of combinations of equalities that are looked up one by one.
const MOST_RANGES: usize = 500;
/// Scores of equalities; one with a boolean is less selective, since half of all documents may have it.
const EQUALITY: u32 = 100;
const EQUAL_BOOLEAN: u32 = 95;
/// Score of a range of ids with both ends, since each document has one id.
const ID_RANGE: u32 = 300;
/// Additional score of an index in id order: together with the sort, more than a boolean equality.
const ID_ORDER: u32 = 66;

/// The source of candidate documents.
#[derive(Debug)]
pub(crate) enum Source {
    /// All documents, in natural order.
    Table,
    /// Ranges of the table's own index on the id.
    Id(Vec<Range>),
    /// Ranges of a declared index.
    Index(Arc<IndexMeta>, Vec<Range>),
    /// Several ranges of declared indexes, merged in their common order.
    Merged(Vec<IndexRange>),
}

/// A range of an index.
#[derive(Debug, Clone)]
pub(crate) struct IndexRange {
    pub(crate) index: Arc<IndexMeta>,
    pub(crate) range: Range,
    /// The leading fields that are constant in the range, and how many bytes of each key they take.
    pub(crate) equal: usize,
    pub(crate) prefix: usize,
}

/// The plan of a read.
#[derive(Debug)]
pub(crate) struct AccessPath {
    pub(crate) source: Source,
    pub(crate) reverse: bool,
    /// Documents come in the order of this many leading fields of the sort.
    pub(crate) ordered: usize,
    /// The entries reached are exactly the documents that match.
    pub(crate) exact: bool,
    /// A document may be reached more than once.
    pub(crate) repeats: bool,
    /// Of a single range: as in [`IndexRange`].
    equal: usize,
    prefix: usize,
}

impl AccessPath {
    /// Returns the plan that visits every document.
    pub(crate) fn table() -> Self {
        Self {
            source: Source::Table,
            reverse: false,
            ordered: 0,
            exact: false,
            repeats: false,
            equal: 0,
            prefix: 0,
        }
    }

    /// Returns the plan in the form of the public API.
    pub(crate) fn explain(&self, sort: &Sort) -> Plan {
        let index = match &self.source {
            Source::Table => None,
            Source::Id(_) => Some("_id_".to_owned()),
            Source::Index(index, _) => Some(index.index.name().to_owned()),
            Source::Merged(ranges) => ranges.first().map(|range| range.index.index.name().to_owned()),
        };
        Plan { index, sorts_in_memory: self.ordered < sort.fields().len() }
    }
}

/// An index as the planner sees it; the table's own index on the id looks like any other.
struct Shape<'a> {
    fields: &'a [(Field, Direction)],
    unique: bool,
    multikey: bool,
}

struct Candidate {
    ranges: Vec<Range>,
    /// The number of fields that are constant in each range, and their length in bytes.
    equal: usize,
    prefixes: Vec<usize>,
    reverse: bool,
    ordered: usize,
    exact: bool,
    score: u32,
}

impl Candidate {
    fn access(self, index: Option<&Arc<IndexMeta>>) -> AccessPath {
        let Self { ranges, equal, prefixes, reverse, ordered, exact, .. } = self;
        let prefix = prefixes.first().copied().unwrap_or_default();
        let source = match index {
            None => Source::Id(ranges),
            Some(index) if ordered > 0 && ranges.len() > 1 => {
                let range = |(range, prefix)| IndexRange { index: Arc::clone(index), range, equal, prefix };
                Source::Merged(ranges.into_iter().zip(prefixes).map(range).collect())
            }
            Some(index) => Source::Index(Arc::clone(index), ranges),
        };
        let repeats = index.is_some_and(|index| index.multikey);
        AccessPath { source, reverse, ordered, exact, repeats, equal, prefix }
    }
}

/// Chooses the plan with the highest score.
pub(crate) fn choose(
    stored: &CollectionMeta,
    filter: &Filter,
    sort: &Sort,
    limited: bool,
) -> Result<AccessPath> {
    let conditions = filter.conjuncts();
    let id = Shape { fields: &[(Field::ID, Direction::Ascending)], unique: true, multikey: false };
    let mut best = (0, AccessPath::table());
    if let Some(c) = candidate(&id, &conditions, sort, limited, 0)? {
        best = (c.score, c.access(None));
    }
    for index in &stored.indexes {
        if let Some(c) = rate_index(index, &conditions, sort, limited)?
            && c.score > best.0
        {
            best = (c.score, c.access(Some(index)));
        }
    }
    if !sort.fields().is_empty()
        && let Some((score, access)) = merged::choice(stored, &conditions, sort)?
        && score > best.0
    {
        best = (score, access);
    }
    Ok(best.1)
}

/// Rates a declared index for a read; `None` if it is of no use.
fn rate_index(
    index: &IndexMeta,
    conditions: &[&Filter],
    sort: &Sort,
    limited: bool,
) -> Result<Option<Candidate>> {
    let Index { fields, unique, sparse, partial, .. } = &index.index;
    let mut narrow = 0;
    if let Some(partial) = partial {
        if !imply(conditions, partial)? {
            return Ok(None);
        }
        narrow = 20;
    }
    if *sparse {
        // With arrays only the leading field's own condition says that the entry exists.
        let decisive = if index.multikey { &fields[..1] } else { fields };
        if !decisive.iter().any(|(field, _)| conditions.iter().any(|c| implies_presence(c, field))) {
            return Ok(None);
        }
        narrow = 20;
    }
    let shape = Shape { fields, unique: *unique, multikey: index.multikey };
    candidate(&shape, conditions, sort, limited, narrow)
}

/// Rates an index for a read; `None` if it is of no use. `narrow` is the score of a partial or sparse index, which holds
/// fewer documents.
fn candidate(
    shape: &Shape<'_>,
    conditions: &[&Filter],
    sort: &Sort,
    limited: bool,
    narrow: u32,
) -> Result<Option<Candidate>> {
    let mut used = vec![false; conditions.len()];
    let mut prefixes: Vec<Vec<u8>> = vec![Vec::new()];
    let mut equal = 0;
    let mut equalities = 0;
    let mut range: Option<Interval> = None;
    let mut sides = 0;
    for (i, (field, direction)) in shape.fields.iter().enumerate() {
        // Two paths through one array may be met by different elements, which have different keys.
        if shape.multikey
            && shape.fields[..i].iter().any(|(other, _)| other.parts().next() == field.parts().next())
        {
            break;
        }
        if let Some((at, keys)) = equality(conditions, field)?
            && prefixes.len() * keys.len() <= MOST_RANGES
        {
            used[at] = true;
            let booleans = keys.iter().all(|key| key.first() == Some(&order::BOOLEAN));
            equalities += if booleans { EQUAL_BOOLEAN } else { EQUALITY };
            prefixes = extend(&prefixes, &keys, *direction);
            equal = i + 1;
            continue;
        }
        for (at, condition) in conditions.iter().enumerate() {
            let Some((of, interval)) = interval(condition)? else { continue };
            if of != field || (shape.multikey && range.is_some()) {
                continue;
            }
            used[at] = true;
            sides += 1;
            range = Some(match range {
                Some(before) => before.and(interval),
                None => interval,
            });
        }
        break;
    }
    let (mut ordered, reverse) = if shape.multikey { (0, false) } else { order(shape, equal, sort) };
    let mut whole = !sort.fields().is_empty() && ordered == sort.fields().len();
    if prefixes.len() != 1 && !(whole && merged::possible(&prefixes, &shape.fields[..equal], sort)) {
        (ordered, whole) = (0, false);
    }
    let mut score = narrow + equalities;
    if shape.unique && equal == shape.fields.len() {
        score += 500;
    }
    if range.is_some() {
        score += 40 + 10 * u32::from(sides > 1);
        if sides > 1 && shape.fields[equal].0 == Field::ID {
            score += ID_RANGE;
        }
    }
    if whole && limited && equal > 0 {
        // Only documents of the result are read.
        score += 100;
    } else if whole {
        score += 30;
        if equal == 0 && shape.fields.len() == 1 && shape.fields[0].0 == Field::ID {
            score += ID_ORDER;
        }
    } else if limited && ordered > 0 {
        score += 15;
    }
    if score == 0 {
        return Ok(None);
    }
    let lengths = prefixes.iter().map(Vec::len).collect::<Vec<_>>();
    let ranges: Vec<_> = match &range {
        Some(interval) => {
            let descending = shape.fields[equal].1 == Direction::Descending;
            prefixes.iter().map(|prefix| interval.range(prefix, descending)).collect()
        }
        None if equal == 0 => vec![Range::all()],
        None => prefixes.into_iter().map(Range::prefix).collect(),
    };
    let (ranges, prefixes) = ranges.into_iter().zip(lengths).filter(|(r, _)| r.from < r.until).unzip();
    let exact = !shape.multikey && used.iter().all(|used| *used);
    Ok(Some(Candidate { ranges, equal, prefixes, reverse, ordered, exact, score }))
}

/// Returns the equality on a field that selects the fewest keys.
fn equality(conditions: &[&Filter], field: &Field) -> Result<Option<(usize, Vec<Vec<u8>>)>> {
    let mut best: Option<(usize, Vec<Vec<u8>>)> = None;
    for (at, condition) in conditions.iter().enumerate() {
        if let Some((of, keys)) = points(condition)?
            && of == field
            && best.as_ref().is_none_or(|(_, others)| keys.len() < others.len())
        {
            best = Some((at, keys));
        }
    }
    Ok(best)
}

fn extend(prefixes: &[Vec<u8>], keys: &[Vec<u8>], direction: Direction) -> Vec<Vec<u8>> {
    let extended = |prefix: &Vec<u8>, key: &Vec<u8>| {
        let mut bytes = prefix.clone();
        order::push_field(&mut bytes, key, direction == Direction::Descending);
        bytes
    };
    prefixes.iter().flat_map(|prefix| keys.iter().map(move |key| extended(prefix, key))).collect()
}

/// Returns the number of leading sort fields that the index orders after its first `equal` fields, which are constant, and
/// whether it must be read backwards.
fn order(shape: &Shape<'_>, equal: usize, sort: &Sort) -> (usize, bool) {
    let mut rest = shape.fields[equal..].iter();
    let mut reverse = None;
    let mut given = 0;
    for (field, direction) in sort.fields() {
        if shape.fields[..equal].iter().any(|(constant, _)| constant == field) {
            given += 1;
            continue;
        }
        let Some((next, stored)) = rest.next() else { break };
        let differs = stored != direction;
        if next != field || reverse.is_some_and(|reverse| reverse != differs) {
            break;
        }
        reverse = Some(differs);
        given += 1;
    }
    (given, reverse.unwrap_or(false))
}

/// A range of keys from one (inclusive) to another (exclusive).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: Vec<u8>,
    pub(crate) until: Vec<u8>,
}

impl Range {
    /// Every key: none begins with this byte.
    pub(crate) fn all() -> Self {
        Self { from: Vec::new(), until: vec![u8::MAX] }
    }

    /// The keys that begin with these bytes.
    pub(crate) fn prefix(prefix: Vec<u8>) -> Self {
        Self { until: order::after_prefix(prefix.clone()), from: prefix }
    }
}

/// One end of an interval: values whose encodings begin with `bytes` are within it or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edge {
    bytes: Vec<u8>,
    inclusive: bool,
}

/// The values of one field between two edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interval {
    low: Edge,
    high: Edge,
}

impl Interval {
    /// The values that are in both.
    pub(crate) fn and(self, other: Self) -> Self {
        let low = if other.low.as_low() > self.low.as_low() { other.low } else { self.low };
        let high = if other.high.as_high() < self.high.as_high() { other.high } else { self.high };
        Self { low, high }
    }

    /// The range of an index whose earlier fields have the keys `prefix`.
    pub(crate) fn range(&self, prefix: &[u8], descending: bool) -> Range {
        let bound = |edge: &Edge, beyond: bool| {
            let mut bytes = prefix.to_vec();
            order::push_field(&mut bytes, &edge.bytes, descending);
            if beyond { order::after_prefix(bytes) } else { bytes }
        };
        let (first, last) = if descending { (&self.high, &self.low) } else { (&self.low, &self.high) };
        Range { from: bound(first, !first.inclusive), until: bound(last, last.inclusive) }
    }
}

impl Edge {
    fn as_low(&self) -> Vec<u8> {
        if self.inclusive { self.bytes.clone() } else { order::after_prefix(self.bytes.clone()) }
    }

    fn as_high(&self) -> Vec<u8> {
        if self.inclusive { order::after_prefix(self.bytes.clone()) } else { self.bytes.clone() }
    }
}

/// A field, and the keys of which it must have one.
pub(crate) type Points<'f> = (&'f Field, Vec<Vec<u8>>);

/// Returns the field of an equality and the keys of which it must have one. Arrays are excluded: they match whole or by
/// an element, so no single key decides.
pub(crate) fn points(condition: &Filter) -> Result<Option<Points<'_>>> {
    let (field, values): (_, &[Bson]) = match condition {
        Filter::Eq(field, value) => (field, std::slice::from_ref(value)),
        Filter::In(field, values) => (field, values),
        // Only null itself compares with null.
        Filter::Lte(field, value @ Bson::Null) | Filter::Gte(field, value @ Bson::Null) => {
            (field, std::slice::from_ref(value))
        }
        _ => return Ok(None),
    };
    if values.iter().any(|value| matches!(value, Bson::Array(_))) {
        return Ok(None);
    }
    let mut keys = values.iter().map(order::encode_value).collect::<Result<Vec<_>>>()?;
    keys.sort_unstable();
    keys.dedup();
    Ok(Some((field, keys)))
}

/// Returns the field of a comparison and the interval of its values.
pub(crate) fn interval(condition: &Filter) -> Result<Option<(&Field, Interval)>> {
    let edge = |bytes: Vec<u8>, inclusive| Edge { bytes, inclusive };
    let (field, value) = match condition {
        Filter::StartsWith(field, prefix) => {
            let bytes = order::text_prefix(prefix);
            return Ok(Some((field, Interval { low: edge(bytes.clone(), true), high: edge(bytes, true) })));
        }
        Filter::Lt(field, value)
        | Filter::Lte(field, value)
        | Filter::Gt(field, value)
        | Filter::Gte(field, value) => (field, value),
        _ => return Ok(None),
    };
    let bytes = order::encode_value(value)?;
    if matches!(value, Bson::Array(_) | Bson::Null) || order::is_nan(&bytes) {
        return Ok(None);
    }
    // Comparisons stay within the type and never match NaN.
    let kind = bytes[0];
    let lowest = if kind == order::NUMBER {
        edge(order::encode_value(&Bson::Double(f64::NAN))?, false)
    } else {
        edge(vec![kind], true)
    };
    let highest = edge(vec![kind], true);
    Ok(Some((
        field,
        match condition {
            Filter::Lt(..) => Interval { low: lowest, high: edge(bytes, false) },
            Filter::Lte(..) => Interval { low: lowest, high: edge(bytes, true) },
            Filter::Gt(..) => Interval { low: edge(bytes, false), high: highest },
            _ => Interval { low: edge(bytes, true), high: highest },
        },
    )))
}

/// Returns whether every document that meets the condition has the field.
pub(crate) fn implies_presence(condition: &Filter, field: &Field) -> bool {
    let null = |value: &Bson| matches!(value, Bson::Null);
    match condition {
        Filter::Exists(f) | Filter::StartsWith(f, _) => f == field,
        Filter::Eq(f, v) | Filter::Lt(f, v) | Filter::Lte(f, v) | Filter::Gt(f, v) | Filter::Gte(f, v) => {
            f == field && !null(v)
        }
        Filter::In(f, values) => f == field && !values.iter().any(null),
        _ => false,
    }
}

/// Returns whether every document that meets all conditions matches `required`. May return `false` where it does.
pub(crate) fn imply(conditions: &[&Filter], required: &Filter) -> Result<bool> {
    Ok(match required {
        Filter::All => true,
        Filter::And(parts) => {
            for part in parts {
                if !imply(conditions, part)? {
                    return Ok(false);
                }
            }
            true
        }
        Filter::Or(parts) => {
            for part in parts {
                if imply(conditions, part)? {
                    return Ok(true);
                }
            }
            conditions.contains(&required)
        }
        Filter::Exists(field) => conditions.iter().any(|condition| implies_presence(condition, field)),
        required => {
            for condition in conditions {
                if implies(condition, required)? {
                    return Ok(true);
                }
            }
            false
        }
    })
}

fn implies(condition: &Filter, required: &Filter) -> Result<bool> {
    if condition == required {
        return Ok(true);
    }
    if let (Some((field, keys)), Some((of, allowed))) = (points(condition)?, points(required)?) {
        return Ok(field == of && keys.iter().all(|key| allowed.contains(key)));
    }
    let Some((of, allowed)) = interval(required)? else { return Ok(false) };
    let allowed = allowed.range(&[], false);
    if let Some((field, keys)) = points(condition)? {
        return Ok(field == of && keys.iter().all(|key| *key >= allowed.from && *key < allowed.until));
    }
    if let Some((field, within)) = interval(condition)? {
        let within = within.range(&[], false);
        return Ok(field == of && within.from >= allowed.from && within.until <= allowed.until);
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
