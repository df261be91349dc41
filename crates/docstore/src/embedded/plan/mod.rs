//! Which index a read uses.
//!
//! One index at the most: its leading fields have equalities, then one field may have a range; what is left of it may
//! give the order. The whole filter is checked again on each document, so a plan may only ever reach too many
//! documents, never too few.

use std::sync::Arc;

use super::bounds::{self, Interval, Range};
use super::catalog::{Stored, StoredIndex};
use super::key;
use super::paths::KeyField;
use crate::{Direction, Field, Filter, Plan, Result, Sort};

/// More combinations of equalities than these are not looked up one by one.
const MOST_RANGES: usize = 500;

/// Where documents are looked for.
#[derive(Debug)]
pub(super) enum Source {
    /// Everywhere, in natural order.
    Table,
    /// In the table's own index on the id.
    Id(Vec<Range>),
    /// In a declared index.
    Index(Arc<StoredIndex>, Vec<Range>),
}

/// How a read reaches its documents.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) source: Source,
    pub(super) reverse: bool,
    /// Documents come in the order of this many leading fields of the sort.
    pub(super) ordered: usize,
    /// The entries reached are exactly the documents that match.
    pub(super) exact: bool,
}

impl Access {
    fn table() -> Self {
        Self { source: Source::Table, reverse: false, ordered: 0, exact: false }
    }

    /// For people and tests.
    pub(super) fn explain(&self, sort: &Sort) -> Plan {
        let index = match &self.source {
            Source::Table => None,
            Source::Id(_) => Some("_id_".to_owned()),
            Source::Index(index, _) => Some(index.index.name().to_owned()),
        };
        Plan { index, sorts_in_memory: self.ordered < sort.fields().len() }
    }
}

/// An index as the planner sees it; the table's own on the id looks like any other.
struct Shape<'a> {
    fields: Vec<(&'a Field, bool)>,
    unique: bool,
    multikey: bool,
}

struct Candidate {
    ranges: Vec<Range>,
    reverse: bool,
    ordered: usize,
    exact: bool,
    score: u32,
}

/// Chooses the way to the documents of a read.
pub(super) fn choose(stored: &Stored, filter: &Filter, sort: &Sort, limited: bool) -> Result<Access> {
    let mut conditions = Vec::new();
    bounds::conjuncts(filter, &mut conditions);
    let id = Shape { fields: vec![(&Field::ID, false)], unique: true, multikey: false };
    let mut best = (0, Access::table());
    if let Some(c) = candidate(&id, &conditions, sort, limited, 0)? {
        let source = Source::Id(c.ranges);
        best = (c.score, Access { source, reverse: c.reverse, ordered: c.ordered, exact: c.exact });
    }
    for index in &stored.indexes {
        let fields: Vec<_> =
            index.index.fields().iter().map(|f| (&f.field, f.direction == Direction::Descending)).collect();
        let mut narrow = 0;
        if let Some(partial) = index.index.partial_filter() {
            if !bounds::imply(&conditions, partial)? {
                continue;
            }
            narrow = 20;
        }
        if index.index.is_sparse() {
            // With arrays only the leading field's own condition says that the entry looked for is there.
            let telling = if index.multikey { &fields[..1] } else { &fields[..] };
            if !telling.iter().any(|(field, _)| conditions.iter().any(|c| bounds::implies_presence(c, field)))
            {
                continue;
            }
            narrow = 20;
        }
        let shape = Shape { fields, unique: index.index.is_unique(), multikey: index.multikey };
        if let Some(c) = candidate(&shape, &conditions, sort, limited, narrow)?
            && c.score > best.0
        {
            let source = Source::Index(Arc::clone(index), c.ranges);
            best = (c.score, Access { source, reverse: c.reverse, ordered: c.ordered, exact: c.exact });
        }
    }
    Ok(best.1)
}

/// What an index can do for a read; `None` if nothing. `narrow` is what it is worth that the index leaves out
/// documents that are not wanted.
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
    let mut range: Option<Interval> = None;
    let mut sides = 0;
    for (i, (field, descending)) in shape.fields.iter().enumerate() {
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
            prefixes = extend(&prefixes, &keys, *descending);
            equal = i + 1;
            continue;
        }
        for (at, condition) in conditions.iter().enumerate() {
            let Some((of, interval)) = bounds::interval(condition)? else { continue };
            if of != *field || (shape.multikey && range.is_some()) {
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
    let (ordered, reverse) =
        if shape.multikey || prefixes.len() != 1 { (0, false) } else { order(shape, equal, sort) };
    let whole = !sort.fields().is_empty() && ordered == sort.fields().len();
    let mut score = narrow + 100 * u32::try_from(equal).unwrap_or(0);
    if shape.unique && equal == shape.fields.len() {
        score += 500;
    }
    if range.is_some() {
        score += 40 + 10 * u32::from(sides > 1);
    }
    if whole {
        score += 30;
    } else if limited && ordered > 0 {
        score += 15;
    }
    if score == 0 {
        return Ok(None);
    }
    let ranges = match &range {
        Some(interval) => prefixes
            .iter()
            .map(|p| interval.range(p, shape.fields[equal].1))
            .filter(|r| r.from < r.until)
            .collect(),
        None if equal == 0 => vec![Range::all()],
        None => prefixes.into_iter().map(Range::prefix).collect(),
    };
    let exact = !shape.multikey
        && used.iter().all(|used| *used)
        && !conditions.iter().any(|c| matches!(c, Filter::Contains(..)));
    Ok(Some(Candidate { ranges, reverse, ordered, exact, score }))
}

/// The equality on a field that leaves the fewest keys.
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

fn extend(prefixes: &[Vec<u8>], keys: &[Vec<u8>], descending: bool) -> Vec<Vec<u8>> {
    let mut all = Vec::with_capacity(prefixes.len() * keys.len());
    for prefix in prefixes {
        for key in keys {
            let mut bytes = prefix.clone();
            bytes.extend_from_slice(key);
            if descending {
                key::invert(&mut bytes[prefix.len()..]);
            }
            all.push(bytes);
        }
    }
    all
}

/// How many leading fields of the sort the index gives after its first `equal` fields, which are constant, and
/// whether it has to be read backwards for it.
fn order(shape: &Shape<'_>, equal: usize, sort: &Sort) -> (usize, bool) {
    let mut rest = shape.fields[equal..].iter();
    let mut reverse = None;
    let mut given = 0;
    for (field, direction) in sort.fields() {
        if shape.fields[..equal].iter().any(|(constant, _)| *constant == field) {
            given += 1;
            continue;
        }
        let Some((next, descending)) = rest.next() else { break };
        let turned = *descending != (*direction == Direction::Descending);
        if *next != field || reverse.is_some_and(|reverse| reverse != turned) {
            break;
        }
        reverse = Some(turned);
        given += 1;
    }
    (given, reverse.unwrap_or(false))
}

/// The fields of a sort as the fields of a key.
pub(super) fn sort_fields(sort: &Sort) -> Vec<KeyField> {
    sort.fields().iter().map(|(field, direction)| KeyField::new(field, *direction)).collect()
}

#[cfg(test)]
mod tests;
