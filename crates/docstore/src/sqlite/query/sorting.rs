//! Sorting in memory, where no index gives the order.

use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use bson::RawDocument;
use rusqlite::Connection;

use crate::order::index_keys as keys;
use crate::order::paths::KeyField;
use crate::sqlite::query::cursor::Matcher;
use crate::sqlite::query::scan::Scan;
use crate::{Error, Result};

/// A document on its way into order. Compared by key, and among equals by the order of coming.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    key: Vec<u8>,
    nth: usize,
    rid: i64,
    /// The part of the key in whose order documents come.
    leading: Vec<u8>,
}

/// Sorts in memory. With a limit no more than that many are kept, and where documents come in the order of the leading
/// fields, the walk ends as soon as no better one can follow.
pub(crate) fn sorted(
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

/// The key by which a document is sorted: of several, because of an array, the first in the order of the sort.
pub(crate) fn sort_key(document: &RawDocument, fields: &[KeyField]) -> Result<Vec<u8>> {
    let keys = keys::extract(document, fields, false)?;
    if let Some((a, b)) = keys.parallel {
        return Err(Error::Invalid(format!(
            "cannot sort by {a} and {b}, which are two arrays of one document"
        )));
    }
    Ok(keys.set.into_iter().next().unwrap_or_default())
}
