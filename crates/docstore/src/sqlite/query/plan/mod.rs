//! The choice of an index for a read.
//!
//! One index as a rule: its leading fields have equalities, then one field may have a range; what is left of it may
//! give the order. The whole filter is checked again on each document, so a plan may only ever reach too many
//! documents, never too few.

/// Several ranges at once, in the order that they have in common.
mod merged;

use std::sync::Arc;

use crate::order::key_encoding as key;
use crate::sqlite::catalog::{CollectionMeta, IndexMeta};
use crate::sqlite::query::bounds::{self, Interval, Range};
use crate::{Direction, Field, Filter, Plan, Result, Sort};

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
pub(crate) struct Access {
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

impl Access {
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
    fn access(self, index: Option<&Arc<IndexMeta>>) -> Access {
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
        Access { source, reverse, ordered, exact, repeats, equal, prefix }
    }
}

/// Chooses the plan with the highest score.
pub(crate) fn choose(stored: &CollectionMeta, filter: &Filter, sort: &Sort, limited: bool) -> Result<Access> {
    let conditions = filter.conjuncts();
    let id = Shape { fields: &[(Field::ID, Direction::Ascending)], unique: true, multikey: false };
    let mut best = (0, Access::table());
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
    let fields = index.index.fields();
    let mut narrow = 0;
    if let Some(partial) = index.index.partial_filter() {
        if !bounds::imply(conditions, partial)? {
            return Ok(None);
        }
        narrow = 20;
    }
    if index.index.is_sparse() {
        // With arrays only the leading field's own condition says that the entry exists.
        let decisive = if index.multikey { &fields[..1] } else { fields };
        if !decisive.iter().any(|(field, _)| conditions.iter().any(|c| bounds::implies_presence(c, field))) {
            return Ok(None);
        }
        narrow = 20;
    }
    let shape = Shape { fields, unique: index.index.is_unique(), multikey: index.multikey };
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
            let booleans = keys.iter().all(|key| key.first() == Some(&key::BOOLEAN));
            equalities += if booleans { EQUAL_BOOLEAN } else { EQUALITY };
            prefixes = extend(&prefixes, &keys, *direction);
            equal = i + 1;
            continue;
        }
        for (at, condition) in conditions.iter().enumerate() {
            let Some((of, interval)) = bounds::interval(condition)? else { continue };
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
        if let Some((of, keys)) = bounds::points(condition)?
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
        key::push_field(&mut bytes, key, direction == Direction::Descending);
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

#[cfg(test)]
mod tests;
