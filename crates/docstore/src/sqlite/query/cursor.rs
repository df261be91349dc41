//! A read in progress: filter, order, window and projection over the documents that a plan reaches.

use std::collections::BinaryHeap;
use std::ops::ControlFlow;
use std::sync::Arc;

use bson::{RawDocument, RawDocumentBuf};
use rusqlite::Connection;

use crate::order::index_keys::sort_key;
use crate::order::key_encoding as key;
use crate::order::paths::KeyField;
use crate::sqlite::catalog::{Catalog, CollectionMeta};
use crate::sqlite::error::failed;
use crate::sqlite::query::matching::CompiledFilter;
use crate::sqlite::query::plan;
use crate::sqlite::query::project::{included, project};
use crate::sqlite::query::scan::{Scan, with_document};
use crate::{Direction, Filter, Find, Result, Sort};

/// A read that gives its documents in batches.
pub(crate) struct Cursor {
    wanted: Matcher,
    /// The paths to return; whole documents if `None`.
    projection: Option<Vec<Vec<String>>>,
    skip: u64,
    left: u64,
    rows: Rows,
}

/// Decides which documents belong to a read.
struct Matcher {
    filter: CompiledFilter,
    /// The sort fields, and the position after which the read begins.
    after: Option<(Vec<KeyField>, Vec<u8>)>,
}

impl Matcher {
    fn new(find: &Find) -> Result<Self> {
        let filter = CompiledFilter::new(&find.filter)?;
        // An empty position is the beginning.
        let Some(position) = find.after.as_ref().filter(|position| !position.is_empty()) else {
            return Ok(Self { filter, after: None });
        };
        let mut place = Vec::new();
        for (value, (_, direction)) in position.iter().zip(find.sort.fields()) {
            let start = place.len();
            place.extend(key::encode_value(value)?);
            if *direction == Direction::Descending {
                key::invert(&mut place[start..]);
            }
        }
        Ok(Self { filter, after: Some((plan::sort_fields(&find.sort), place)) })
    }

    fn matches(&self, document: &RawDocument) -> Result<bool> {
        if let Some((fields, place)) = &self.after
            && sort_key(document, fields)? <= *place
        {
            return Ok(false);
        }
        self.filter.matches(document)
    }
}

enum Rows {
    None,
    /// In the order of the scan.
    Walked(Scan),
    /// Sorted in memory: row numbers only, so that a long result takes little memory.
    Sorted {
        collection: i64,
        rids: std::vec::IntoIter<i64>,
    },
}

/// Limits of one batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchLimits {
    pub(crate) documents: usize,
    /// Bytes of the examined documents, whether they match or not.
    pub(crate) bytes: usize,
    /// Number of examined documents.
    pub(crate) visits: usize,
}

impl BatchLimits {
    pub(crate) const ALL: Self = Self { documents: usize::MAX, bytes: usize::MAX, visits: usize::MAX };
}

/// A batch of documents, and whether more may follow.
pub(crate) struct Batch {
    pub(crate) documents: Vec<RawDocumentBuf>,
    pub(crate) more: bool,
}

/// A planned read that has not run yet.
pub(crate) struct Planned {
    find: Find,
    wanted: Matcher,
    /// The collection and how its documents are reached; `None` if there is nothing to read.
    way: Option<(Arc<CollectionMeta>, plan::Access)>,
}

impl Planned {
    pub(crate) fn new(catalog: &Catalog, collection: &str, find: Find) -> Result<Self> {
        let wanted = Matcher::new(&find)?;
        let stored = catalog.collections.get(collection).filter(|_| find.limit != Some(0));
        let way = stored.map(|stored| Ok((Arc::clone(stored), access(stored, &find)?))).transpose()?;
        Ok(Self { find, wanted, way })
    }

    /// Returns whether documents come in index order, so that a batch costs only its share of the work.
    pub(crate) fn is_walk(&self) -> bool {
        self.way.as_ref().is_none_or(|(_, access)| access.ordered == self.find.sort.fields().len())
    }

    /// Starts the read; sorts now if the sort must be done in memory.
    pub(crate) fn open(self, connection: &Connection) -> Result<Cursor> {
        let Self { find, wanted, way } = self;
        let Find { sort, mut skip, limit, projection, .. } = find;
        let mut there = Rows::None;
        if let Some((stored, access)) = way {
            let most = limit.map(|limit| limit.saturating_add(skip));
            there = rows(connection, &stored, access, &wanted, &sort, most)?;
            // Only documents show whether they come after a position; index entries do not.
            if let (Rows::Walked(scan), None) = (&mut there, &wanted.after)
                && skip > 0
                && scan.pass(connection, skip)?
            {
                skip = 0;
            }
        }
        let projection = projection.as_ref().map(included);
        Ok(Cursor { wanted, projection, skip, left: limit.unwrap_or(u64::MAX), rows: there })
    }
}

impl Cursor {
    /// Plans and starts a read.
    pub(crate) fn open(
        connection: &Connection,
        catalog: &Catalog,
        collection: &str,
        find: Find,
    ) -> Result<Self> {
        Planned::new(catalog, collection, find)?.open(connection)
    }

    /// Returns the next batch; smaller than its limits if documents are large or matches rare.
    pub(crate) fn next_batch(&mut self, connection: &Connection, limits: BatchLimits) -> Result<Batch> {
        let BatchLimits { documents: most, bytes, visits } = limits;
        let mut documents = Vec::new();
        let (mut size, mut visited, mut looked_at) = (0, 0, 0);
        let Self { wanted, projection, skip, left, rows } = self;
        let mut take = |document: &RawDocument| -> Result<ControlFlow<()>> {
            if *skip > 0 {
                *skip -= 1;
                return Ok(ControlFlow::Continue(()));
            }
            let document = match projection {
                Some(paths) => project(document, paths)?,
                None => document.to_owned(),
            };
            size += document.as_bytes().len();
            documents.push(document);
            *left -= 1;
            let full = *left == 0 || documents.len() >= most || size >= bytes;
            Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        let ended = match rows {
            Rows::None => true,
            Rows::Walked(scan) => scan.run(connection, &mut |_, document| {
                visited += 1;
                looked_at += document.as_bytes().len();
                let full = wanted.matches(document)? && take(document)?.is_break();
                let enough = full || visited >= visits || looked_at >= bytes;
                Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?,
            Rows::Sorted { collection, rids } => loop {
                let Some(rid) = rids.next() else { break true };
                if with_document(connection, *collection, rid, &mut take)?.is_some_and(|flow| flow.is_break())
                {
                    break false;
                }
            },
        };
        Ok(Batch { documents, more: !ended && *left > 0 })
    }
}

/// Returns the row numbers of up to `most` matches.
pub(crate) fn matches(
    connection: &Connection,
    stored: &Arc<CollectionMeta>,
    filter: &Filter,
    most: Option<usize>,
) -> Result<Vec<i64>> {
    let mut found = Vec::new();
    let compiled = CompiledFilter::new(filter)?;
    let access = plan::choose(stored, filter, &Sort::default(), most.is_some())?;
    Scan::new(stored.id, access).run(connection, &mut |rid, document| {
        if compiled.matches(document)? {
            found.push(rid);
        }
        let full = most.is_some_and(|most| found.len() >= most);
        Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
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
    let counting = "counting documents";
    let rows = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| -> Result<u64> {
        let rows: i64 = connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(parameters, |row| row.get(0)))
            .map_err(failed(counting))?;
        Ok(rows.unsigned_abs())
    };
    if *filter == Filter::All {
        return rows(&format!("SELECT count(*) FROM c_{}", stored.id), &[]);
    }
    let access = plan::choose(stored, filter, &Sort::default(), false)?;
    if let plan::Source::Index(index, ranges) = &access.source
        && access.exact
    {
        let sql = format!("SELECT count(*) FROM x_{} WHERE k >= ?1 AND k < ?2", index.id);
        return ranges.iter().map(|range| rows(&sql, &[&range.from, &range.until])).sum();
    }
    let compiled = CompiledFilter::new(filter)?;
    let mut found = 0;
    Scan::new(stored.id, access).run(connection, &mut |_, document| {
        found += u64::from(compiled.matches(document)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Chooses how a read reaches its documents.
pub(crate) fn access(stored: &CollectionMeta, find: &Find) -> Result<plan::Access> {
    let mut access = plan::choose(stored, &find.filter, &find.sort, find.limit.is_some())?;
    if let Some(position) = &find.after {
        access.seek(&find.sort, &position.iter().map(key::encode_value).collect::<Result<Vec<_>>>()?);
    }
    Ok(access)
}

fn rows(
    connection: &Connection,
    stored: &Arc<CollectionMeta>,
    access: plan::Access,
    wanted: &Matcher,
    sort: &Sort,
    most: Option<u64>,
) -> Result<Rows> {
    let scan = Scan::new(stored.id, access);
    if scan.access().ordered == sort.fields().len() {
        return Ok(Rows::Walked(scan));
    }
    let rids = sorted(connection, scan, wanted, &plan::sort_fields(sort), most)?;
    Ok(Rows::Sorted { collection: stored.id, rids: rids.into_iter() })
}

/// A document to sort, compared by key and then by arrival.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    key: Vec<u8>,
    nth: usize,
    rid: i64,
    /// The part of the key by which the scan is already ordered.
    leading: Vec<u8>,
}

/// Sorts in memory. With a limit only that many documents are kept, and where the scan is ordered by the leading fields, it
/// ends as soon as no better document can follow.
fn sorted(
    connection: &Connection,
    mut scan: Scan,
    wanted: &Matcher,
    fields: &[KeyField],
    most: Option<u64>,
) -> Result<Vec<i64>> {
    let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let ordered = if most == usize::MAX { 0 } else { scan.access().ordered };
    let mut heap: BinaryHeap<Entry> = BinaryHeap::new();
    let mut nth = 0;
    scan.run(connection, &mut |rid, document| {
        if !wanted.matches(document)? {
            return Ok(ControlFlow::Continue(()));
        }
        let leading = if ordered > 0 { sort_key(document, &fields[..ordered])? } else { Vec::new() };
        if heap.len() >= most && heap.peek().is_some_and(|last| last.leading < leading) {
            return Ok(ControlFlow::Break(()));
        }
        heap.push(Entry { key: sort_key(document, fields)?, nth, rid, leading });
        nth += 1;
        if heap.len() > most {
            heap.pop();
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(heap.into_sorted_vec().into_iter().map(|entry| entry.rid).collect())
}
