use std::collections::HashSet;

use rusqlite::{Connection, Rows, params_from_iter};

use super::{
    IndexEntry, READING, Visit, entries_sql, entry, entry_bounds, missing, pass_over, with_document,
};
use crate::sqlite::catalog::CollectionMeta;
use crate::sqlite::faults::failed;
use crate::sqlite::query::plan::{IndexRange, Range};
use crate::{Error, Result};

/// A merge of several index ranges: of their next entries the first is taken, so documents come in the common order.
pub(super) struct Merge {
    ranges: Vec<Progress>,
    reverse: bool,
}

struct Progress {
    /// The table of the index.
    index: i64,
    range: Range,
    prefix: usize,
    /// The entry taken last.
    after: Option<IndexEntry>,
}

impl Merge {
    pub(super) fn new(ranges: &[IndexRange], reverse: bool) -> Self {
        let progress = |range: &IndexRange| {
            let IndexRange { index, range, prefix, .. } = range;
            Progress { index: index.id, range: range.clone(), prefix: *prefix, after: None }
        };
        Self { ranges: ranges.iter().map(progress).collect(), reverse }
    }

    /// As [`Scan::run`](super::Scan::run).
    pub(super) fn run(
        &mut self,
        connection: &Connection,
        collection: &CollectionMeta,
        seen: &mut Option<HashSet<i64>>,
        damaged: &mut Option<Vec<Error>>,
        visit: &mut Visit<'_>,
    ) -> Result<bool> {
        let mut statements = Vec::with_capacity(self.ranges.len());
        for range in &self.ranges {
            let sql = entries_sql(range.index, self.reverse);
            statements.push(connection.prepare_cached(&sql).map_err(failed(READING))?);
        }
        let mut rows = Vec::with_capacity(self.ranges.len());
        let mut heads = Vec::with_capacity(self.ranges.len());
        for (range, statement) in self.ranges.iter().zip(&mut statements) {
            let bounds = entry_bounds(range.range.clone(), self.reverse, range.after.clone());
            let mut found = statement.query(params_from_iter(bounds)).map_err(failed(READING))?;
            heads.push(next(&mut found)?);
            rows.push(found);
        }
        while let Some(first) = self.first(&heads) {
            let Some((key, rid)) = heads[first].take() else { break };
            self.ranges[first].after = Some((key, rid));
            let is_new = seen.as_mut().is_none_or(|seen| seen.insert(rid));
            if is_new {
                let stop = with_document(connection, collection, rid, &mut |document| visit(rid, document));
                let stop = stop.and_then(|stop| stop.ok_or_else(|| missing(collection, rid)));
                if pass_over(damaged, stop)? {
                    return Ok(false);
                }
            }
            heads[first] = next(&mut rows[first])?;
        }
        Ok(true)
    }

    /// Returns the range whose next entry comes first.
    fn first(&self, heads: &[Option<IndexEntry>]) -> Option<usize> {
        let candidates = heads.iter().enumerate().filter_map(|(at, head)| {
            let (key, rid) = head.as_ref()?;
            Some((&key[self.ranges[at].prefix..], *rid, at))
        });
        if self.reverse { candidates.max() } else { candidates.min() }.map(|(.., at)| at)
    }
}

/// Returns the next entry of a range.
fn next(rows: &mut Rows<'_>) -> Result<Option<IndexEntry>> {
    rows.next().and_then(|row| row.map(entry).transpose()).map_err(failed(READING))
}
