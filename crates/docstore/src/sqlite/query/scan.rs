//! Scans over the documents that a plan reaches. A scan can stop anywhere and continue later, as long as the connection
//! keeps its snapshot.
//!
//! Several index ranges are merged: of their next entries the first is taken, so documents come in the common order.

use std::collections::HashSet;
use std::ops::ControlFlow;

use bson::RawDocument;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, Rows, params_from_iter};

use crate::Result;
use crate::order::key_encoding::unreadable;
use crate::sqlite::error::failed;
use crate::sqlite::query::bounds::Range;
use crate::sqlite::query::plan::{Access, IndexRange, Source};

const READING: &str = "reading documents";

/// A scan.
pub(crate) struct Scan {
    collection: i64,
    access: Access,
    /// Index of the current range.
    range: usize,
    /// The last visited entry of the current range.
    after: Option<(Vec<u8>, i64)>,
    /// The visited documents, where one may have several entries.
    seen: Option<HashSet<i64>>,
    /// The state of a merge of several ranges.
    merge: Option<Merge>,
}

/// Callback for a document and its row number.
pub(crate) type Visit<'v> = dyn FnMut(i64, &RawDocument) -> Result<ControlFlow<()>> + 'v;

impl Scan {
    pub(crate) fn new(collection: i64, access: Access) -> Self {
        let seen = access.repeats.then(HashSet::new);
        let merge = match &access.source {
            Source::Merged(ways) => Some(Merge::new(ways, access.reverse)),
            _ => None,
        };
        Self { collection, access, range: 0, after: None, seen, merge }
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// Skips the next `count` entries without reading their documents, where the entries of one range are exactly the
    /// matches; returns whether it could.
    pub(crate) fn pass(&mut self, connection: &Connection, count: u64) -> Result<bool> {
        let (c, order) = (self.collection, self.order());
        let (entries, ranges) = match &self.access.source {
            Source::Id(ranges) => {
                (format!("SELECT id, rid FROM c_{c} WHERE id >= ?1 AND id < ?2 ORDER BY id {order}"), ranges)
            }
            Source::Index(index, ranges) => {
                let (id, bounds) = (index.id, entries(self.access.reverse));
                (
                    format!("SELECT k, rid FROM x_{id} x WHERE {bounds} ORDER BY k {order}, rid {order}"),
                    ranges,
                )
            }
            Source::Table | Source::Merged(_) => return Ok(false),
        };
        let (Some(bounds), 1, true) = (self.bounds(), ranges.len(), self.access.exact) else {
            return Ok(false);
        };
        let mut parameters = bounds;
        parameters.push(i64::try_from(count.saturating_sub(1)).unwrap_or(i64::MAX).into());
        let sql = format!("{entries} LIMIT 1 OFFSET ?{}", parameters.len());
        let last = connection
            .prepare_cached(&sql)
            .and_then(|mut statement| {
                let entry = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
                statement.query_row(params_from_iter(parameters), entry).optional()
            })
            .map_err(failed(READING))?;
        match last {
            Some(_) => self.after = last,
            None => self.range += 1,
        }
        Ok(true)
    }

    fn order(&self) -> &'static str {
        if self.access.reverse { "DESC" } else { "ASC" }
    }

    /// Visits documents until `visit` breaks; returns whether the end was reached.
    pub(crate) fn run(&mut self, connection: &Connection, visit: &mut Visit<'_>) -> Result<bool> {
        if let Some(merge) = &mut self.merge {
            return merge.run(connection, self.collection, &mut self.seen, visit);
        }
        let sql = self.sql();
        let mut statement = connection.prepare_cached(&sql).map_err(failed(READING))?;
        // Several ranges are never read for their order, so their sequence does not matter.
        while let Some(bounds) = self.bounds() {
            let mut rows = statement.query(params_from_iter(bounds)).map_err(failed(READING))?;
            while let Some(row) = rows.next().map_err(failed(READING))? {
                if self.visit(row, visit)?.is_break() {
                    return Ok(false);
                }
            }
            self.range += 1;
            self.after = None;
        }
        Ok(true)
    }

    fn sql(&self) -> String {
        let c = self.collection;
        let order = self.order();
        match &self.access.source {
            Source::Table | Source::Merged(_) => {
                format!("SELECT x'', rid, doc FROM c_{c} WHERE rid > ?1 ORDER BY rid")
            }
            Source::Id(_) => {
                format!("SELECT id, rid, doc FROM c_{c} WHERE id >= ?1 AND id < ?2 ORDER BY id {order}")
            }
            Source::Index(index, _) => {
                let bounds = entries(self.access.reverse);
                // SQLite keeps the order of a cross join: the index leads.
                format!(
                    "SELECT x.k, x.rid, c.doc FROM x_{} x CROSS JOIN c_{c} c ON c.rid = x.rid \
                     WHERE {bounds} ORDER BY x.k {order}, x.rid {order}",
                    index.id
                )
            }
        }
    }

    /// Returns the parameters for the rest of the current range; `None` after the last.
    fn bounds(&self) -> Option<Vec<Value>> {
        let ranges = match &self.access.source {
            Source::Table if self.range == 0 => {
                let after = self.after.as_ref().map_or(i64::MIN, |(_, rid)| *rid);
                return Some(vec![after.into()]);
            }
            Source::Table | Source::Merged(_) => return None,
            Source::Id(ranges) | Source::Index(_, ranges) => ranges,
        };
        let range = ranges.get(self.range)?.clone();
        let after = self.after.clone();
        if !matches!(self.access.source, Source::Id(_)) {
            return Some(entry_bounds(range, self.access.reverse, after).into());
        }
        let Range { from, until } = range;
        Some(match (self.access.reverse, after) {
            (_, None) => vec![from.into(), until.into()],
            (true, Some((key, _))) => vec![from.into(), key.into()],
            (false, Some((mut key, _))) => {
                // The next greater byte string.
                key.push(0);
                vec![key.into(), until.into()]
            }
        })
    }

    fn visit(&mut self, row: &Row<'_>, visit: &mut Visit<'_>) -> Result<ControlFlow<()>> {
        let rid: i64 = row.get(1).map_err(failed(READING))?;
        if let Some(seen) = &mut self.seen
            && !seen.insert(rid)
        {
            return Ok(ControlFlow::Continue(()));
        }
        let flow = visit(rid, document(row, 2)?)?;
        if flow.is_break() {
            self.after = Some((row.get(0).map_err(failed(READING))?, rid));
        }
        Ok(flow)
    }
}

/// Returns the condition on the entries of an index named `x`; [`entry_bounds`] returns its parameters.
fn entries(reverse: bool) -> &'static str {
    if reverse { "x.k >= ?1 AND (x.k, x.rid) < (?2, ?3)" } else { "x.k < ?1 AND (x.k, x.rid) > (?2, ?3)" }
}

/// Returns the parameters for the rest of a range after an entry.
fn entry_bounds(range: Range, reverse: bool, after: Option<(Vec<u8>, i64)>) -> [Value; 3] {
    let Range { from, until } = range;
    match (reverse, after) {
        (true, None) => [from.into(), until.into(), i64::MIN.into()],
        (false, None) => [until.into(), from.into(), i64::MIN.into()],
        (true, Some((key, rid))) => [from.into(), key.into(), rid.into()],
        (false, Some((key, rid))) => [until.into(), key.into(), rid.into()],
    }
}

/// Returns the document in a column of a row.
pub(crate) fn document<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a RawDocument> {
    let bytes =
        row.get_ref(column).and_then(|value| value.as_blob().map_err(Into::into)).map_err(failed(READING))?;
    RawDocument::from_bytes(bytes).map_err(unreadable)
}

/// Calls `with` for the document of a row, if it exists.
pub(crate) fn with_document<T>(
    connection: &Connection,
    collection: i64,
    rid: i64,
    with: &mut dyn FnMut(&RawDocument) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT doc FROM c_{collection} WHERE rid = ?"))
        .map_err(failed(READING))?;
    statement
        .query_row([rid], |row| Ok(document(row, 0).and_then(&mut *with)))
        .optional()
        .map_err(failed(READING))?
        .transpose()
}

/// A merge of several index ranges.
struct Merge {
    ways: Vec<Progress>,
    reverse: bool,
}

struct Progress {
    /// The table of the index.
    index: i64,
    range: Range,
    prefix: usize,
    /// The entry taken last.
    after: Option<(Vec<u8>, i64)>,
}

/// The next entry of a range.
type Head = Option<(Vec<u8>, i64)>;

impl Merge {
    fn new(ways: &[IndexRange], reverse: bool) -> Self {
        let progress = |way: &IndexRange| {
            let IndexRange { index, range, prefix, .. } = way;
            Progress { index: index.id, range: range.clone(), prefix: *prefix, after: None }
        };
        Self { ways: ways.iter().map(progress).collect(), reverse }
    }

    /// As [`Scan::run`].
    fn run(
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

    /// Returns the range whose next entry comes first.
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
