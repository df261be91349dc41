use std::sync::Arc;

use super::{Access, Candidate, EQUAL_TRUTH, IndexMeta, IndexRange, Source, bounds, rate_index};
use crate::order::key_encoding as key;
use crate::sqlite::catalog::CollectionMeta;
use crate::{Direction, Field, Filter, Result, Sort};

/// Maximum number of ranges that are merged.
const MOST_WAYS: usize = 16;

/// Returns whether ranges with these prefixes can be merged into the order of a sort: each has that order, and the fields
/// in which they differ are not part of it.
pub(super) fn possible(prefixes: &[Vec<u8>], constant: &[(&Field, bool)], sort: &Sort) -> bool {
    prefixes.len() <= MOST_WAYS
        && !sort.fields().iter().any(|(field, _)| constant.iter().any(|(other, _)| *other == field))
}

/// Plans an `or` as the merge of one ordered index per branch, and returns its score.
pub(super) fn choice(
    stored: &CollectionMeta,
    conditions: &[&Filter],
    sort: &Sort,
) -> Result<Option<(u32, Access)>> {
    if sort.fields().is_empty() {
        return Ok(None);
    }
    for (at, condition) in conditions.iter().enumerate() {
        let Filter::Or(branches) = condition else { continue };
        let rest = || conditions.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, c)| *c);
        let mut ways = Vec::new();
        let mut worth = u32::MAX;
        let mut reverse = None;
        for branch in branches {
            let mut all: Vec<_> = rest().collect();
            bounds::conjuncts(branch, &mut all);
            let Some((index, found)) = in_order(stored, &all, sort)? else { break };
            if reverse.is_some_and(|reverse| reverse != found.reverse) {
                break;
            }
            reverse = Some(found.reverse);
            worth = worth.min(found.score);
            let Candidate { ranges, equal, prefixes, .. } = found;
            let way = |(range, prefix)| IndexRange { index: Arc::clone(&index), range, equal, prefix };
            ways.push(ranges.into_iter().zip(prefixes).map(way).collect::<Vec<_>>());
        }
        if ways.len() == branches.len() && !ways.is_empty() {
            let ways = ways.into_iter().flatten().collect();
            let ordered = sort.fields().len();
            let reverse = reverse.unwrap_or_default();
            let source = Source::Merged(ways);
            return Ok(Some((worth, Access { source, reverse, ordered, repeats: true, ..Access::table() })));
        }
    }
    Ok(None)
}

/// Returns the best index that has the whole order after an equality.
fn in_order(
    stored: &CollectionMeta,
    conditions: &[&Filter],
    sort: &Sort,
) -> Result<Option<(Arc<IndexMeta>, Candidate)>> {
    let mut best: Option<(Arc<IndexMeta>, Candidate)> = None;
    for index in &stored.indexes {
        if let Some(found) = rate_index(index, conditions, sort, true)?
            && found.score >= EQUAL_TRUTH
            && found.equal > 0
            && found.ordered == sort.fields().len()
            && possible(&[], &constant(index, found.equal), sort)
            && found.ranges.len() <= MOST_WAYS
            && best.as_ref().is_none_or(|(_, other)| found.score > other.score)
        {
            best = Some((Arc::clone(index), found));
        }
    }
    Ok(best)
}

fn constant(index: &IndexMeta, equal: usize) -> Vec<(&Field, bool)> {
    let fields = index.index.fields()[..equal].iter();
    fields.map(|f| (&f.field, f.direction == Direction::Descending)).collect()
}

impl Access {
    /// Skips what comes before a position in the order of the sort, given by its encoded values. Documents at the position
    /// may still be reached.
    pub(crate) fn seek(&mut self, sort: &Sort, values: &[Vec<u8>]) {
        if self.ordered < sort.fields().len() {
            return;
        }
        let place = |index: &IndexMeta, equal: usize, prefix: &[u8]| {
            let mut place = prefix.to_vec();
            for field in &index.index.fields()[equal..] {
                let nth = sort.fields().iter().position(|(sorted, _)| *sorted == field.field);
                let Some(value) = nth.and_then(|nth| values.get(nth)) else { break };
                let start = place.len();
                place.extend_from_slice(value);
                if field.direction == Direction::Descending {
                    key::invert(&mut place[start..]);
                }
            }
            place
        };
        let reverse = self.reverse;
        let narrow = |range: &mut bounds::Range, place: Vec<u8>| {
            if reverse {
                let until = key::after_prefix(place).unwrap_or_else(|| vec![u8::MAX]);
                range.until = until.min(std::mem::take(&mut range.until));
            } else {
                range.from = place.max(std::mem::take(&mut range.from));
            }
        };
        match &mut self.source {
            Source::Table | Source::Id(_) => {}
            Source::Index(index, ranges) => {
                for range in ranges {
                    let place = place(index, self.equal, &range.from[..self.prefix.min(range.from.len())]);
                    narrow(range, place);
                }
            }
            Source::Merged(ways) => {
                for way in ways {
                    let place = place(&way.index, way.equal, &way.range.from[..way.prefix]);
                    narrow(&mut way.range, place);
                }
            }
        }
    }
}
