use std::sync::Arc;

use super::{AccessPath, Candidate, EQUAL_BOOLEAN, IndexMeta, IndexRange, Range, Source, rate_index};
use crate::order;
use crate::sqlite::catalog::CollectionMeta;
use crate::{Direction, Field, Filter, Result, Sort};

/// Maximum number of ranges that are merged.
const MAX_RANGES: usize = 16;

/// Returns whether ranges with these prefixes can be merged into the order of a sort: each has that order, and the fields
/// in which they differ are not part of it.
pub(super) fn possible(prefixes: &[Vec<u8>], constant: &[(Field, Direction)], sort: &Sort) -> bool {
    prefixes.len() <= MAX_RANGES
        && !sort.fields().iter().any(|(field, _)| constant.iter().any(|(other, _)| other == field))
}

/// Plans an `or` as the merge of one ordered index per branch, and returns its score.
pub(super) fn choice(
    stored: &CollectionMeta,
    conditions: &[&Filter],
    sort: &Sort,
) -> Result<Option<(u32, AccessPath)>> {
    for (at, condition) in conditions.iter().enumerate() {
        let Filter::Or(branches) = condition else { continue };
        let rest = || conditions.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, c)| *c);
        let mut ranges = Vec::new();
        let mut planned = 0;
        let mut score = u32::MAX;
        let mut reverse = None;
        for branch in branches {
            let all: Vec<_> = rest().chain(branch.conjuncts()).collect();
            let Some((index, found)) = in_order(stored, &all, sort)? else { break };
            if reverse.is_some_and(|reverse| reverse != found.reverse) {
                break;
            }
            reverse = Some(found.reverse);
            score = score.min(found.score);
            let equal = found.equal;
            let range = |(range, prefix)| IndexRange { index: Arc::clone(&index), range, equal, prefix };
            ranges.extend(found.ranges.into_iter().zip(found.prefixes).map(range));
            planned += 1;
        }
        if planned == branches.len() && planned > 0 {
            let (ordered, reverse) = (sort.fields().len(), reverse.unwrap_or_default());
            let source = Source::Merged(ranges);
            return Ok(Some((
                score,
                AccessPath { source, reverse, ordered, repeats: true, ..AccessPath::table() },
            )));
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
            && found.score >= EQUAL_BOOLEAN
            && found.equal > 0
            && found.ordered == sort.fields().len()
            && possible(&[], &index.index.fields()[..found.equal], sort)
            && found.ranges.len() <= MAX_RANGES
            && best.as_ref().is_none_or(|(_, other)| found.score > other.score)
        {
            best = Some((Arc::clone(index), found));
        }
    }
    Ok(best)
}

impl AccessPath {
    /// Skips what comes before a position in the order of the sort, given by its encoded values. Documents at the position
    /// may still be reached.
    pub(crate) fn seek(&mut self, sort: &Sort, values: &[Vec<u8>]) {
        if self.ordered < sort.fields().len() {
            return;
        }
        let reverse = self.reverse;
        let narrow = |index: &IndexMeta, range: &mut Range, equal: usize, prefix: usize| {
            let mut position = range.from[..prefix.min(range.from.len())].to_vec();
            for (field, direction) in &index.index.fields()[equal..] {
                let nth = sort.fields().iter().position(|(sorted, _)| sorted == field);
                let Some(value) = nth.and_then(|nth| values.get(nth)) else { break };
                order::push_field(&mut position, value, *direction == Direction::Descending);
            }
            if reverse {
                range.until = order::after_prefix(position).min(std::mem::take(&mut range.until));
            } else {
                range.from = position.max(std::mem::take(&mut range.from));
            }
        };
        match &mut self.source {
            Source::Table | Source::Id(_) => {}
            Source::Index(index, ranges) => {
                for range in ranges {
                    narrow(index, range, self.equal, self.prefix);
                }
            }
            Source::Merged(ranges) => {
                for IndexRange { index, range, equal, prefix } in ranges {
                    narrow(index, range, *equal, *prefix);
                }
            }
        }
    }
}
