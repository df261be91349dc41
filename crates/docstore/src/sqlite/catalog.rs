//! The catalog of collections and indexes. It is stored in tables and cached by each connection; a version, read in the
//! same transaction as the data, invalidates outdated caches.

use std::collections::HashMap;
use std::sync::Arc;

use bson::Document;
use rusqlite::{Connection, params};

use crate::eval::matcher::CompiledFilter;
use crate::order::{KeyField, key_fields, unreadable};
use crate::sqlite::faults::failed;
use crate::{Index, Result};

const READING: &str = "reading the catalog of the store";
const WRITING: &str = "writing the catalog of the store";

/// The collections as of one version.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    version: i64,
    pub(crate) collections: HashMap<String, Arc<CollectionMeta>>,
}

/// A collection.
#[derive(Debug)]
pub(crate) struct CollectionMeta {
    /// Its table is `c_{id}`.
    pub(crate) id: i64,
    pub(crate) name: String,
    /// Set if its table has a column for checksums. One that an earlier version created gets it with the next write to
    /// the store.
    pub(crate) checksums: bool,
    /// In order of creation.
    pub(crate) indexes: Vec<Arc<IndexMeta>>,
}

/// An index.
#[derive(Debug)]
pub(crate) struct IndexMeta {
    /// Its table is `x_{id}`.
    pub(crate) id: i64,
    pub(crate) index: Index,
    pub(crate) fields: Vec<KeyField>,
    pub(crate) partial: Option<CompiledFilter>,
    /// Set once a document had an array in one of the fields.
    pub(crate) multikey: bool,
}

impl CollectionMeta {
    /// Returns the expression of a row's checksum, for queries of the table.
    pub(crate) fn checksum(&self) -> &'static str {
        if self.checksums { "checksum" } else { "NULL" }
    }
}

/// Returns the checksum of a document's bytes.
pub(crate) fn checksum(document: &[u8]) -> i64 {
    twox_hash::XxHash3_64::oneshot(document).cast_signed()
}

impl IndexMeta {
    fn new(id: i64, index: Index, multikey: bool) -> Result<Self> {
        let fields = key_fields(index.fields());
        let partial = index.partial_filter().map(CompiledFilter::new).transpose()?;
        Ok(Self { id, index, fields, partial, multikey })
    }
}

impl Catalog {
    /// Reloads a cached catalog if its version is outdated.
    pub(crate) fn refresh(cached: &mut Arc<Self>, connection: &Connection) -> Result<()> {
        let version: i64 = connection
            .prepare_cached("SELECT version FROM catalogue")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .map_err(failed(READING))?;
        if version != cached.version {
            *cached = Arc::new(Self::load(connection, version)?);
        }
        Ok(())
    }

    fn load(connection: &Connection, version: i64) -> Result<Self> {
        let mut indexes: HashMap<i64, Vec<Arc<IndexMeta>>> = HashMap::new();
        let mut statement = connection
            .prepare_cached("SELECT id, collection, spec, multikey FROM indexes ORDER BY id")
            .map_err(failed(READING))?;
        let mut rows = statement.query([]).map_err(failed(READING))?;
        while let Some(row) = rows.next().map_err(failed(READING))? {
            let (id, collection) = (get::<i64>(row, 0)?, get::<i64>(row, 1)?);
            let spec = Document::from_reader(&*get::<Vec<u8>>(row, 2)?).map_err(unreadable)?;
            let stored = IndexMeta::new(id, Index::from_document(&spec)?, get(row, 3)?)?;
            indexes.entry(collection).or_default().push(Arc::new(stored));
        }
        let mut collections = HashMap::new();
        let mut statement = connection
            .prepare_cached(
                "SELECT id, name, EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'c_' || id)
                 FROM collections",
            )
            .map_err(failed(READING))?;
        let mut rows = statement.query([]).map_err(failed(READING))?;
        while let Some(row) = rows.next().map_err(failed(READING))? {
            let (id, name) = (get::<i64>(row, 0)?, get::<String>(row, 1)?);
            let (indexes, checksums) = (indexes.remove(&id).unwrap_or_default(), get(row, 2)?);
            collections.insert(name.clone(), Arc::new(CollectionMeta { id, name, checksums, indexes }));
        }
        Ok(Self { version, collections })
    }

    /// Renames a collection.
    pub(crate) fn rename_collection(
        connection: &Connection,
        stored: &CollectionMeta,
        name: &str,
    ) -> Result<()> {
        connection
            .execute("UPDATE collections SET name = ? WHERE id = ?", params![name, stored.id])
            .map_err(failed(WRITING))?;
        Self::bump(connection)
    }

    /// Increments the version, which invalidates all caches.
    fn bump(connection: &Connection) -> Result<()> {
        connection.execute("UPDATE catalogue SET version = version + 1", []).map_err(failed(WRITING))?;
        Ok(())
    }

    /// Adds a collection.
    pub(crate) fn add_collection(connection: &Connection, name: &str) -> Result<()> {
        connection.execute("INSERT INTO collections (name) VALUES (?)", [name]).map_err(failed(WRITING))?;
        let id = connection.last_insert_rowid();
        connection
            .execute_batch(&format!(
                "CREATE TABLE c_{id} (rid INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, doc BLOB NOT NULL); {}",
                checksum_column(id)
            ))
            .map_err(failed(WRITING))?;
        Self::bump(connection)
    }

    /// Adds the column of checksums to the tables of an earlier version, within a write transaction; returns whether
    /// there was one without. Their documents stay without checksums until they are written again.
    pub(crate) fn add_checksums(&self, connection: &Connection) -> Result<bool> {
        let mut added = false;
        for stored in self.collections.values().filter(|stored| !stored.checksums) {
            connection.execute_batch(&checksum_column(stored.id)).map_err(failed(WRITING))?;
            added = true;
        }
        if added {
            Self::bump(connection)?;
        }
        Ok(added)
    }

    /// Removes a collection and its indexes.
    pub(crate) fn remove_collection(connection: &Connection, stored: &CollectionMeta) -> Result<()> {
        for index in &stored.indexes {
            Self::remove_index(connection, index)?;
        }
        connection
            .execute_batch(&format!("DROP TABLE c_{}; DELETE FROM collections WHERE id = {0}", stored.id))
            .map_err(failed(WRITING))?;
        Self::bump(connection)
    }

    /// Adds an empty index.
    pub(crate) fn add_index(connection: &Connection, collection: i64, index: &Index) -> Result<IndexMeta> {
        let spec = index.to_document().to_vec().map_err(unreadable)?;
        connection
            .execute("INSERT INTO indexes (collection, spec) VALUES (?, ?)", params![collection, spec])
            .map_err(failed(WRITING))?;
        let id = connection.last_insert_rowid();
        connection
            .execute_batch(&format!(
                "CREATE TABLE x_{id} (k BLOB NOT NULL, rid INTEGER NOT NULL, PRIMARY KEY (k, rid)) WITHOUT ROWID"
            ))
            .map_err(failed(WRITING))?;
        Self::bump(connection)?;
        IndexMeta::new(id, index.clone(), false)
    }

    /// Removes an index.
    pub(crate) fn remove_index(connection: &Connection, index: &IndexMeta) -> Result<()> {
        connection
            .execute_batch(&format!("DROP TABLE x_{}; DELETE FROM indexes WHERE id = {0}", index.id))
            .map_err(failed(WRITING))?;
        Self::bump(connection)
    }

    /// Marks an index as multikey.
    pub(crate) fn mark_multikey(connection: &Connection, index: &IndexMeta) -> Result<()> {
        connection
            .execute("UPDATE indexes SET multikey = 1 WHERE id = ?", [index.id])
            .map_err(failed(WRITING))?;
        Self::bump(connection)
    }
}

/// Returns the statements that add the column of checksums to a table. A version without checksums changes documents
/// without them, so the trigger removes a checksum that was not written along.
fn checksum_column(id: i64) -> String {
    format!(
        "ALTER TABLE c_{id} ADD COLUMN checksum INTEGER;
         CREATE TRIGGER t_{id} AFTER UPDATE OF doc ON c_{id}
         WHEN old.checksum IS NOT NULL AND new.checksum IS old.checksum
         BEGIN UPDATE c_{id} SET checksum = NULL WHERE rid = new.rid; END;"
    )
}

fn get<T: rusqlite::types::FromSql>(row: &rusqlite::Row<'_>, at: usize) -> Result<T> {
    row.get(at).map_err(failed(READING))
}
