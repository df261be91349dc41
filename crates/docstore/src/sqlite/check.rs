//! The check of a file before it is used.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::Connection;

use crate::sqlite::FileCheck;
use crate::sqlite::catalog::{Catalog, CollectionMeta};
use crate::sqlite::faults::{DAMAGED, failed};
use crate::sqlite::log::{integrity_check, quick_check};
use crate::sqlite::query::scan::Scan;
use crate::sqlite::write::session::keys_in;
use crate::{Error, Result};

/// Checks the file. Damaged documents are logged by name; they do not prevent the use of the others.
///
/// # Errors
/// The first fault in the structure of the file or of an index.
pub(crate) fn check(connection: &Connection, catalog: &Catalog, check: FileCheck) -> Result<()> {
    let fault = match check {
        FileCheck::Off => None,
        FileCheck::Quick => quick_check(connection)?,
        FileCheck::Full => match integrity_check(connection)? {
            Some(fault) => Some(fault),
            None => documents(connection, catalog)?,
        },
    };
    match fault {
        Some(fault) => Err(Error::Engine { what: DAMAGED, source: fault.into() }),
        None => Ok(()),
    }
}

/// Reads every document and compares the indexes with them. Returns the first fault of an index.
pub(crate) fn documents(connection: &Connection, catalog: &Catalog) -> Result<Option<String>> {
    for stored in catalog.collections.values() {
        let mut entries = vec![0; stored.indexes.len()];
        let mut missing = BTreeSet::new();
        let mut scan = Scan::whole(stored).passing_over_damaged();
        scan.run(connection, &mut |rid, document| {
            for (index, entries) in stored.indexes.iter().zip(&mut entries) {
                let find = format!("SELECT 1 FROM x_{} WHERE k = ? AND rid = ?", index.id);
                let mut find = connection.prepare_cached(&find).map_err(failed(CHECKING))?;
                for key in keys_in(stored, index, document)?.set {
                    *entries += 1;
                    if !find.exists((&key, rid)).map_err(failed(CHECKING))? {
                        missing.insert(index.index.name().to_owned());
                    }
                }
            }
            Ok(false)
        })?;
        let damaged = scan.take_damaged();
        for error in &damaged {
            tracing::error!(%error, "a stored document is damaged");
        }
        if let Some(index) = missing.first() {
            return Ok(Some(format!("index {index} of {} lacks a document", stored.name)));
        }
        if damaged.is_empty()
            && let Some(index) = superfluous(connection, stored, &entries)?
        {
            return Ok(Some(format!("index {index} of {} names a document that it should not", stored.name)));
        }
    }
    Ok(None)
}

const CHECKING: &str = "checking the store";

/// Returns the name of an index with another number of entries than the documents have.
fn superfluous(
    connection: &Connection,
    stored: &Arc<CollectionMeta>,
    entries: &[i64],
) -> Result<Option<String>> {
    for (index, expected) in stored.indexes.iter().zip(entries) {
        let count = format!("SELECT count(*) FROM x_{}", index.id);
        let found: i64 = connection.query_row(&count, [], |row| row.get(0)).map_err(failed(CHECKING))?;
        if found != *expected {
            return Ok(Some(index.index.name().to_owned()));
        }
    }
    Ok(None)
}
