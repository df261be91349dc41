//! Walking over several ranges of indexes at once: of the next entries of all of them the first is taken, so documents
//! come in the order that the ranges have in common.

use std::collections::HashSet;

use rusqlite::{Connection, Rows, params_from_iter};

use crate::Result;
use crate::sqlite::error::failed;
use crate::sqlite::query::bounds::Range;
use crate::sqlite::query::cursor::with_document;
use crate::sqlite::query::plan::IndexRange;
use crate::sqlite::query::scan::{Visit, entries, entry_bounds};

const READING: &str = "reading documents";

/// How far each of the ranges is.
pub(crate) struct Merge {
    ways: Vec<Progress>,
    reverse: bool,
}

struct Progress {
    /// The table of the index.
    index: i64,
    range: Range,
    prefix: usize,
    /// The entry that was taken last.
    after: Option<(Vec<u8>, i64)>,
}

/// The next entry of a range.
type Head = Option<(Vec<u8>, i64)>;

impl Merge {
    pub(crate) fn new(ways: &[IndexRange], reverse: bool) -> Self {
        let progress = |way: &IndexRange| {
            let IndexRange { index, range, prefix, .. } = way;
            Progress { index: index.id, range: range.clone(), prefix: *prefix, after: None }
        };
        Self { ways: ways.iter().map(progress).collect(), reverse }
    }

    /// As [`crate::sqlite::query::scan::Scan::run`].
    pub(crate) fn run(
        &mut self,
        connection: &Connection,
        collection: i64,
        seen: &mut Option<HashSet<i64>>,
        visit: &mut Visit<'_>,
    ) -> Result<bool> {
        let order = if self.reverse { "DESC" } else { "ASC" };
        let sql = |way: &Progress| {
            let bounds = entries(self.reverse);
            format!(
                "SELECT x.k, x.rid FROM x_{} x WHERE {bounds} ORDER BY x.k {order}, x.rid {order}",
                way.index
            )
        };
        let mut statements = Vec::with_capacity(self.ways.len());
        for way in &self.ways {
            statements.push(connection.prepare_cached(&sql(way)).map_err(failed(READING))?);
        }
        let mut rows = Vec::with_capacity(self.ways.len());
        let mut heads = Vec::with_capacity(self.ways.len());
        for (way, statement) in self.ways.iter().zip(&mut statements) {
            let bounds = entry_bounds(way.range.clone(), self.reverse, way.after.clone());
            let mut found = statement.query(params_from_iter(bounds)).map_err(failed(READING))?;
            heads.push(next(&mut found)?);
            rows.push(found);
        }
        while let Some(first) = self.first(&heads) {
            let Some((key, rid)) = heads[first].take() else { break };
            self.ways[first].after = Some((key, rid));
            let is_new = seen.as_mut().is_none_or(|seen| seen.insert(rid));
            if is_new
                && with_document(connection, collection, rid, &mut |document| visit(rid, document))?
                    .is_some_and(|flow| flow.is_break())
            {
                return Ok(false);
            }
            heads[first] = next(&mut rows[first])?;
        }
        Ok(true)
    }

    /// Which of the next entries comes first.
    fn first(&self, heads: &[Head]) -> Option<usize> {
        let there = heads.iter().enumerate().filter_map(|(at, head)| {
            let (key, rid) = head.as_ref()?;
            Some((&key[self.ways[at].prefix..], *rid, at))
        });
        if self.reverse { there.max() } else { there.min() }.map(|(.., at)| at)
    }
}

fn next(rows: &mut Rows<'_>) -> Result<Head> {
    let Some(row) = rows.next().map_err(failed(READING))? else { return Ok(None) };
    Ok(Some((row.get(0).map_err(failed(READING))?, row.get(1).map_err(failed(READING))?)))
}
