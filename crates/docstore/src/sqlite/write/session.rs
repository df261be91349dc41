//! Writes of single documents, with all of their index entries.
//!
//! A write is validated before its first statement that changes anything. So a rejected write leaves nothing to roll back,
//! and an error of SQLite itself is a fault of the machine, which fails the whole transaction.

use std::collections::BTreeSet;
use std::sync::Arc;

use bson::{Bson, Document, RawDocument, RawDocumentBuf};
use rusqlite::{Connection, OptionalExtension, params};

use crate::eval::{duplicate, encode};
use crate::order;
use crate::sqlite::catalog::{Catalog, CollectionMeta, IndexMeta, checksum};
use crate::sqlite::faults::failed;
use crate::{Change, Error, Index, Result};

/// Maximum number of changes in one transaction that are reported one by one.
const MOST_CHANGES: usize = 1000;

const WRITING: &str = "writing documents";

/// The writer's connection within a transaction.
pub(crate) struct Session<'c> {
    pub(crate) connection: &'c Connection,
    pub(crate) catalog: Arc<Catalog>,
    /// Reported to change feeds after the commit.
    pub(crate) changes: Vec<Change>,
}

impl Session<'_> {
    /// Returns the collection, creating it if necessary.
    pub(crate) fn collection_or_new(&mut self, name: &str) -> Result<Arc<CollectionMeta>> {
        if let Some(stored) = self.collection(name) {
            return Ok(stored);
        }
        Catalog::add_collection(self.connection, name)?;
        self.refresh()?;
        self.collection(name).ok_or_else(|| Error::Engine {
            what: "creating a collection",
            source: "it does not exist afterwards".into(),
        })
    }

    /// Returns the collection, if it exists.
    pub(crate) fn collection(&self, name: &str) -> Option<Arc<CollectionMeta>> {
        self.catalog.collections.get(name).cloned()
    }

    pub(crate) fn refresh(&mut self) -> Result<()> {
        Catalog::refresh(&mut self.catalog, self.connection)
    }

    /// Inserts a document that has an id.
    pub(crate) fn insert(&mut self, collection: &str, document: &Document) -> Result<()> {
        let id = document.get("_id").ok_or_else(|| Error::Invalid("a document without an id".into()))?;
        if matches!(id, Bson::Array(_)) {
            return Err(Error::Invalid("the id of a document cannot be an array".into()));
        }
        let raw = encode(collection, document)?;
        let id_key = order::encode_value(id)?;
        if let Some(stored) = self.collection(collection)
            && self.rid_of(&stored, &id_key)?.is_some()
        {
            return Err(duplicate(collection, "_id_", vec!["_id".to_owned()]));
        }
        let stored = self.collection_or_new(collection)?;
        let entries = self.entries(&stored, None, &raw, None)?;
        let bytes = raw.as_bytes();
        self.connection
            .prepare_cached(&format!("INSERT INTO c_{} (id, doc, checksum) VALUES (?, ?, ?)", stored.id))
            .and_then(|mut statement| statement.execute(params![id_key, bytes, checksum(bytes)]))
            .map_err(failed(WRITING))?;
        self.write_entries(self.connection.last_insert_rowid(), &entries)?;
        self.changed(collection, id.clone());
        Ok(())
    }

    /// Replaces a stored document.
    pub(crate) fn replace(
        &mut self,
        stored: &CollectionMeta,
        rid: i64,
        old: &RawDocument,
        new: &Document,
    ) -> Result<RawDocumentBuf> {
        let raw = encode(&stored.name, new)?;
        let entries = self.entries(stored, Some(old), &raw, Some(rid))?;
        let bytes = raw.as_bytes();
        self.connection
            .prepare_cached(&format!("UPDATE c_{} SET doc = ?, checksum = ? WHERE rid = ?", stored.id))
            .and_then(|mut statement| statement.execute(params![bytes, checksum(bytes), rid]))
            .map_err(failed(WRITING))?;
        self.write_entries(rid, &entries)?;
        let id = new.get("_id").cloned().unwrap_or(Bson::Null);
        self.changed(&stored.name, id);
        Ok(raw)
    }

    /// Deletes a stored document.
    pub(crate) fn remove(&mut self, stored: &CollectionMeta, rid: i64, old: &RawDocument) -> Result<()> {
        for index in &stored.indexes {
            for key in keys_in(stored, index, old)?.set {
                self.delete_entry(index, &key, rid)?;
            }
        }
        self.connection
            .prepare_cached(&format!("DELETE FROM c_{} WHERE rid = ?", stored.id))
            .and_then(|mut statement| statement.execute([rid]))
            .map_err(failed(WRITING))?;
        let id = order::get(old, "_id")?.and_then(|id| Bson::try_from(id).ok()).unwrap_or(Bson::Null);
        self.changed(&stored.name, id);
        Ok(())
    }

    /// Builds an index over the stored documents. The caller rolls back if it fails.
    pub(crate) fn build_index(&mut self, stored: &CollectionMeta, index: &Index) -> Result<()> {
        let new = Arc::new(Catalog::add_index(self.connection, stored.id, index)?);
        let mut last = i64::MIN;
        let mut multikey = false;
        loop {
            let batch = self.rows_after(stored, last)?;
            let Some((rid, _)) = batch.last() else { break };
            last = *rid;
            for (rid, document) in batch {
                let keys = keys_in(stored, &new, &document)?;
                self.check_unique(stored, &new, &keys.set, Some(rid))?;
                multikey |= keys.multikey;
                let entry = IndexChange {
                    index: Arc::clone(&new),
                    add: keys.set,
                    remove: BTreeSet::new(),
                    multikey: false,
                };
                self.write_entries(rid, &[entry])?;
            }
        }
        if multikey {
            Catalog::mark_multikey(self.connection, &new)?;
        }
        self.refresh()
    }

    fn rows_after(&self, stored: &CollectionMeta, last: i64) -> Result<Vec<(i64, RawDocumentBuf)>> {
        let mut statement = self
            .connection
            .prepare_cached(&format!(
                "SELECT rid, doc, checksum FROM c_{} WHERE rid > ? ORDER BY rid LIMIT 200",
                stored.id
            ))
            .map_err(failed("creating an index"))?;
        let mut rows = statement.query([last]).map_err(failed("creating an index"))?;
        let mut batch = Vec::new();
        while let Some(row) = rows.next().map_err(failed("creating an index"))? {
            let rid = row.get(0).map_err(failed("creating an index"))?;
            batch.push((rid, crate::sqlite::query::scan::document(row, 1, stored, rid)?.to_owned()));
        }
        Ok(batch)
    }

    /// Returns the changes to the indexes.
    ///
    /// # Errors
    /// [`Error::DuplicateKey`] if a unique index rejects them.
    fn entries(
        &self,
        stored: &CollectionMeta,
        old: Option<&RawDocument>,
        new: &RawDocument,
        rid: Option<i64>,
    ) -> Result<Vec<IndexChange>> {
        let mut entries = Vec::with_capacity(stored.indexes.len());
        for index in &stored.indexes {
            let keys = keys_in(stored, index, new)?;
            let before = old.map(|old| keys_in(stored, index, old)).transpose()?.unwrap_or_default().set;
            let add: BTreeSet<_> = keys.set.difference(&before).cloned().collect();
            let remove = before.difference(&keys.set).cloned().collect();
            self.check_unique(stored, index, &add, rid)?;
            let multikey = keys.multikey && !index.multikey;
            entries.push(IndexChange { index: Arc::clone(index), add, remove, multikey });
        }
        Ok(entries)
    }

    fn check_unique(
        &self,
        stored: &CollectionMeta,
        index: &IndexMeta,
        keys: &BTreeSet<Vec<u8>>,
        rid: Option<i64>,
    ) -> Result<()> {
        if !index.index.is_unique() {
            return Ok(());
        }
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT 1 FROM x_{} WHERE k = ?1 AND rid IS NOT ?2", index.id))
            .map_err(failed(WRITING))?;
        for key in keys {
            if statement.exists(params![key, rid]).map_err(failed(WRITING))? {
                let fields = index.index.fields().iter().map(|(field, _)| field.to_string()).collect();
                return Err(duplicate(&stored.name, index.index.name(), fields));
            }
        }
        Ok(())
    }

    fn write_entries(&mut self, rid: i64, entries: &[IndexChange]) -> Result<()> {
        let mut stale = false;
        for IndexChange { index, add, remove, multikey } in entries {
            for key in remove {
                self.delete_entry(index, key, rid)?;
            }
            if !add.is_empty() {
                let mut statement = self
                    .connection
                    .prepare_cached(&format!("INSERT INTO x_{} (k, rid) VALUES (?, ?)", index.id))
                    .map_err(failed(WRITING))?;
                for key in add {
                    statement.execute(params![key, rid]).map_err(failed(WRITING))?;
                }
            }
            if *multikey {
                Catalog::mark_multikey(self.connection, index)?;
                stale = true;
            }
        }
        if stale { self.refresh() } else { Ok(()) }
    }

    fn delete_entry(&self, index: &IndexMeta, key: &[u8], rid: i64) -> Result<()> {
        self.connection
            .prepare_cached(&format!("DELETE FROM x_{} WHERE k = ? AND rid = ?", index.id))
            .and_then(|mut statement| statement.execute(params![key, rid]))
            .map_err(failed(WRITING))?;
        Ok(())
    }

    fn rid_of(&self, stored: &CollectionMeta, id: &[u8]) -> Result<Option<i64>> {
        self.connection
            .prepare_cached(&format!("SELECT rid FROM c_{} WHERE id = ?", stored.id))
            .and_then(|mut statement| statement.query_row([id], |row| row.get(0)).optional())
            .map_err(failed(WRITING))
    }

    fn changed(&mut self, collection: &str, id: Bson) {
        if self.changes.len() < MOST_CHANGES {
            self.changes.push(Change::Document {
                collection: collection.to_owned(),
                id,
                in_transaction: false,
            });
        } else if self.changes.len() == MOST_CHANGES {
            self.changes.push(Change::Unknown);
        }
    }
}

/// The changes to one index.
struct IndexChange {
    index: Arc<IndexMeta>,
    add: BTreeSet<Vec<u8>>,
    remove: BTreeSet<Vec<u8>>,
    /// Set if the index contains an array for the first time.
    multikey: bool,
}

/// Returns the keys of a document in an index.
pub(crate) fn keys_in(
    stored: &CollectionMeta,
    index: &IndexMeta,
    document: &RawDocument,
) -> Result<order::Keys> {
    if let Some(partial) = &index.partial
        && !partial.matches(document)?
    {
        return Ok(order::Keys::default());
    }
    let keys = order::extract(document, &index.fields, index.index.is_sparse())?;
    match &keys.parallel {
        None => Ok(keys),
        Some((a, b)) => Err(Error::Inapplicable {
            collection: stored.name.clone(),
            what: format!(
                "index {} cannot hold a document in which both {a} and {b} are arrays",
                index.index.name()
            ),
        }),
    }
}
