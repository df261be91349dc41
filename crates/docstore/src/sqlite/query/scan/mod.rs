//! Scans over the documents that a plan reaches. A scan can stop anywhere and continue later, as long as the connection
//! keeps its snapshot.

/// Merges of several index ranges.
mod merged;

use std::collections::HashSet;
use std::sync::Arc;

use bson::{RawBsonRef, RawDocument};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use crate::eval::matcher::CompiledFilter;
use crate::order::{UNNAMED, unreadable};
use crate::sqlite::catalog::{Catalog, CollectionMeta, checksum};
use crate::sqlite::faults::failed;
use crate::sqlite::query::plan::{self, AccessPath, Range, Source};
use crate::{Error, Filter, Result, Sort};
use merged::Merge;

const READING: &str = "reading documents";

/// A scan.
pub(crate) struct Scan {
    collection: Arc<CollectionMeta>,
    access: AccessPath,
    /// Index of the current range.
    range: usize,
    /// The last visited entry of the current range.
    after: Option<IndexEntry>,
    /// The visited documents, where one may have several entries.
    seen: Option<HashSet<i64>>,
    /// The state of a merge of several ranges.
    merge: Option<Merge>,
    /// The damaged documents that were passed over; `None` if the first one ends the scan.
    damaged: Option<Vec<Error>>,
}

/// A key and a row number.
type IndexEntry = (Vec<u8>, i64);

/// Callback for a document and its row number; returns whether the scan stops.
pub(crate) type Visit<'v> = dyn FnMut(i64, &RawDocument) -> Result<bool> + 'v;

impl Scan {
    pub(crate) fn new(collection: &Arc<CollectionMeta>, access: AccessPath) -> Self {
        let seen = access.repeats.then(HashSet::new);
        let merge = match &access.source {
            Source::Merged(ranges) => Some(Merge::new(ranges, access.reverse)),
            _ => None,
        };
        let collection = Arc::clone(collection);
        Self { collection, access, range: 0, after: None, seen, merge, damaged: None }
    }

    /// Scans every document of a collection.
    pub(crate) fn whole(collection: &Arc<CollectionMeta>) -> Self {
        Self::new(collection, AccessPath::table())
    }

    /// Passes over damaged documents. [`Scan::take_damaged`] returns their errors.
    #[must_use]
    pub(crate) fn passing_over_damaged(self) -> Self {
        Self { damaged: Some(Vec::new()), ..self }
    }

    /// Returns the errors of the damaged documents that were passed over since the last call.
    pub(crate) fn take_damaged(&mut self) -> Vec<Error> {
        self.damaged.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Returns the number of leading sort fields by which the documents are ordered.
    pub(crate) fn ordered(&self) -> usize {
        self.access.ordered
    }

    /// Skips the next `count` entries without reading their documents, where the entries of one range are exactly the
    /// matches; returns whether it could.
    pub(crate) fn pass(&mut self, connection: &Connection, count: u64) -> Result<bool> {
        let sql = match &self.access.source {
            Source::Id(ranges) if ranges.len() == 1 && self.access.exact => self.id_sql(""),
            Source::Index(index, ranges) if ranges.len() == 1 && self.access.exact => {
                entries_sql(index.id, self.access.reverse)
            }
            _ => return Ok(false),
        };
        let Some(mut parameters) = self.bounds() else { return Ok(false) };
        parameters.push(i64::try_from(count.saturating_sub(1)).unwrap_or(i64::MAX).into());
        let last = connection
            .prepare_cached(&format!("{sql} LIMIT 1 OFFSET ?{}", parameters.len()))
            .and_then(|mut statement| statement.query_row(params_from_iter(parameters), entry).optional())
            .map_err(failed(READING))?;
        match last {
            Some(_) => self.after = last,
            None => self.range += 1,
        }
        Ok(true)
    }

    /// Visits documents until `visit` stops; returns whether the end was reached.
    pub(crate) fn run(&mut self, connection: &Connection, visit: &mut Visit<'_>) -> Result<bool> {
        if let Some(merge) = &mut self.merge {
            return merge.run(connection, &self.collection, &mut self.seen, &mut self.damaged, visit);
        }
        let sql = self.sql();
        let mut statement = connection.prepare_cached(&sql).map_err(failed(READING))?;
        // Several ranges are never read for their order, so their sequence does not matter.
        while let Some(bounds) = self.bounds() {
            let mut rows = statement.query(params_from_iter(bounds)).map_err(failed(READING))?;
            while let Some(row) = rows.next().map_err(failed(READING))? {
                let rid = row.get(1).map_err(failed(READING))?;
                if self.seen.as_mut().is_some_and(|seen| !seen.insert(rid)) {
                    continue;
                }
                let stop = with_row(row, 2, &self.collection, rid, &mut |document| visit(rid, document));
                if pass_over(&mut self.damaged, stop)? {
                    self.after = Some(entry(row).map_err(failed(READING))?);
                    return Ok(false);
                }
            }
            self.range += 1;
            self.after = None;
        }
        Ok(true)
    }

    fn sql(&self) -> String {
        let (c, sum) = (self.collection.id, self.collection.checksum());
        match &self.access.source {
            Source::Table | Source::Merged(_) => {
                format!("SELECT x'', rid, doc, {sum} FROM c_{c} WHERE rid > ?1 ORDER BY rid")
            }
            Source::Id(_) => self.id_sql(&format!(", doc, {sum}")),
            Source::Index(index, _) => {
                let (bounds, order) = (entry_condition(self.access.reverse), order(self.access.reverse));
                // SQLite keeps the order of an outer join: the index leads. An entry without a document is damage.
                format!(
                    "SELECT x.k, x.rid, c.doc, {sum} FROM x_{} x LEFT JOIN c_{c} c ON c.rid = x.rid \
                     WHERE {bounds} ORDER BY x.k {order}, x.rid {order}",
                    index.id
                )
            }
        }
    }

    fn id_sql(&self, columns: &str) -> String {
        let (c, order) = (self.collection.id, order(self.access.reverse));
        format!("SELECT id, rid{columns} FROM c_{c} WHERE id >= ?1 AND id < ?2 ORDER BY id {order}")
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
}

fn order(reverse: bool) -> &'static str {
    if reverse { "DESC" } else { "ASC" }
}

/// Returns the statement that reads the entries of an index.
fn entries_sql(index: i64, reverse: bool) -> String {
    let (bounds, order) = (entry_condition(reverse), order(reverse));
    format!("SELECT x.k, x.rid FROM x_{index} x WHERE {bounds} ORDER BY x.k {order}, x.rid {order}")
}

/// Returns the condition on the entries of an index named `x`; [`entry_bounds`] returns its parameters.
fn entry_condition(reverse: bool) -> &'static str {
    if reverse { "x.k >= ?1 AND (x.k, x.rid) < (?2, ?3)" } else { "x.k < ?1 AND (x.k, x.rid) > (?2, ?3)" }
}

/// Returns the parameters for the rest of a range after an entry.
fn entry_bounds(range: Range, reverse: bool, after: Option<IndexEntry>) -> [Value; 3] {
    let Range { from, until } = range;
    let (bound, start) = if reverse { (from, until) } else { (until, from) };
    let (key, rid) = after.unwrap_or((start, i64::MIN));
    [bound.into(), key.into(), rid.into()]
}

/// Reads the entry at the start of a row.
fn entry(row: &Row<'_>) -> rusqlite::Result<IndexEntry> {
    Ok((row.get(0)?, row.get(1)?))
}

/// Returns the document in a column of a row, checked against the checksum in the next column.
pub(crate) fn document<'a>(
    row: &'a Row<'_>,
    column: usize,
    collection: &CollectionMeta,
    rid: i64,
) -> Result<&'a RawDocument> {
    let bytes = match row.get_ref(column).map_err(failed(READING))? {
        ValueRef::Blob(bytes) => bytes,
        ValueRef::Null => return Err(missing(collection, rid)),
        _ => return Err(damaged(collection, rid, None, "it is no document")),
    };
    let written = match row.get_ref(column + 1).map_err(failed(READING))? {
        ValueRef::Integer(written) => Some(written),
        ValueRef::Null => None,
        _ => return Err(damaged(collection, rid, None, "its checksum is no number")),
    };
    let document = RawDocument::from_bytes(bytes).map_err(unreadable);
    if written.is_some_and(|written| written != checksum(bytes)) {
        return Err(damaged(collection, rid, document.ok(), "its checksum differs"));
    }
    document.map_err(|error| named(error, collection, rid, None))
}

/// Returns the error of a damaged document.
fn damaged(collection: &CollectionMeta, rid: i64, document: Option<&RawDocument>, why: &str) -> Error {
    let error = Error::Damaged { document: UNNAMED.to_owned(), source: why.into() };
    named(error, collection, rid, document)
}

/// Returns the error of a document that an index names and that is not there.
fn missing(collection: &CollectionMeta, rid: i64) -> Error {
    damaged(collection, rid, None, "an index names it, and it is not there")
}

/// Calls `with` for the document in a column of a row.
fn with_row<T>(
    row: &Row<'_>,
    column: usize,
    collection: &CollectionMeta,
    rid: i64,
    with: &mut dyn FnMut(&RawDocument) -> Result<T>,
) -> Result<T> {
    let document = document(row, column, collection, rid)?;
    with(document).map_err(|error| named(error, collection, rid, Some(document)))
}

/// Names the document of an error: by its collection, and by its id or its row number.
fn named(error: Error, collection: &CollectionMeta, rid: i64, document: Option<&RawDocument>) -> Error {
    let source = match error {
        Error::Damaged { document, source } if document == UNNAMED => source,
        other => return other,
    };
    let id = document.and_then(|document| match document.get("_id").ok()?? {
        RawBsonRef::ObjectId(id) => Some(id.to_hex()),
        RawBsonRef::String(id) => Some(id.to_owned()),
        _ => None,
    });
    let name = &collection.name;
    let document = id.map_or_else(|| format!("row {rid} of {name}"), |id| format!("document {id} of {name}"));
    Error::Damaged { document, source }
}

/// Keeps the error of a damaged document, where those are passed over.
fn pass_over(damaged: &mut Option<Vec<Error>>, stop: Result<bool>) -> Result<bool> {
    match (stop, damaged) {
        (Err(error @ Error::Damaged { .. }), Some(damaged)) => {
            damaged.push(error);
            Ok(false)
        }
        (stop, _) => stop,
    }
}

/// Calls `with` for the document of a row, if it exists.
pub(crate) fn with_document<T>(
    connection: &Connection,
    collection: &CollectionMeta,
    rid: i64,
    with: &mut dyn FnMut(&RawDocument) -> Result<T>,
) -> Result<Option<T>> {
    let (id, sum) = (collection.id, collection.checksum());
    let mut statement = connection
        .prepare_cached(&format!("SELECT doc, {sum} FROM c_{id} WHERE rid = ?"))
        .map_err(failed(READING))?;
    statement
        .query_row([rid], |row| Ok(with_row(row, 0, collection, rid, with)))
        .optional()
        .map_err(failed(READING))?
        .transpose()
}

/// Returns the row numbers of up to `limit` matches.
pub(crate) fn matches(
    connection: &Connection,
    stored: &Arc<CollectionMeta>,
    filter: &Filter,
    limit: Option<usize>,
) -> Result<Vec<i64>> {
    let compiled = CompiledFilter::new(filter)?;
    let access = plan::choose(stored, filter, &Sort::default(), limit.is_some())?;
    let mut found = Vec::new();
    // A write does not pass over damaged documents: it cannot know whether it would change them.
    Scan::new(stored, access).run(connection, &mut |rid, document| {
        if compiled.matches(document)? {
            found.push(rid);
        }
        Ok(limit.is_some_and(|limit| found.len() >= limit))
    })?;
    Ok(found)
}

/// Counts matches, on index entries alone where those are exact.
pub(crate) fn count(
    connection: &Connection,
    catalog: &Catalog,
    collection: &str,
    filter: &Filter,
) -> Result<u64> {
    let Some(stored) = catalog.collections.get(collection) else { return Ok(0) };
    let rows = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| -> Result<u64> {
        let rows: i64 = connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(parameters, |row| row.get(0)))
            .map_err(failed("counting documents"))?;
        Ok(rows.unsigned_abs())
    };
    if *filter == Filter::All {
        return rows(&format!("SELECT count(*) FROM c_{}", stored.id), &[]);
    }
    let access = plan::choose(stored, filter, &Sort::default(), false)?;
    if let Source::Index(index, ranges) = &access.source
        && access.exact
    {
        let sql = format!("SELECT count(*) FROM x_{} WHERE k >= ?1 AND k < ?2", index.id);
        return ranges.iter().map(|range| rows(&sql, &[&range.from, &range.until])).sum();
    }
    let compiled = CompiledFilter::new(filter)?;
    let mut found = 0;
    Scan::new(stored, access).passing_over_damaged().run(connection, &mut |_, document| {
        found += u64::from(compiled.matches(document)?);
        Ok(false)
    })?;
    Ok(found)
}
