use std::collections::HashSet;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bson::{Bson, RawDocument};
use docstore::{Collection, Database, Field, Filter, Find};
use parking_lot::Mutex;

use super::lists::cursor::Cursors;
use super::lists::totals::Totals;
use super::row::{Row, not_deleted};
use super::{BadField, Entity, Error, SLUG_HISTORY};
use crate::domain::Id;

/// The maximum number of corrupt documents that are remembered, so that each is logged once.
const MAX_LOGGED_CORRUPT: usize = 10_000;

/// Reads and writes the entities of one collection. Cheap to clone.
#[derive(Clone)]
pub struct Repository<E> {
    pub(super) collection: Collection,
    /// Former slugs, of all collections.
    pub(super) history: Collection,
    pub(super) totals: Arc<Totals>,
    pub(super) cursors: Arc<Cursors>,
    corrupt: Arc<Corrupt>,
    entity: PhantomData<fn() -> E>,
}

/// The corrupt documents that lists have skipped.
#[derive(Default)]
struct Corrupt {
    count: AtomicU64,
    logged: Mutex<HashSet<String>>,
}

impl<E: Entity> Repository<E> {
    /// Opens the collection of `E` in a database.
    pub fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(E::COLLECTION),
            history: database.collection(SLUG_HISTORY),
            totals: Arc::new(Totals::new(database, E::COLLECTION)),
            cursors: Arc::new(Cursors::new(database, E::COLLECTION)),
            corrupt: Arc::default(),
            entity: PhantomData,
        }
    }

    /// Returns the query of a whole list.
    pub fn list_query(filter: &E::Filter) -> Find {
        Find::new(E::filter(filter).also(not_deleted())).sort(E::sort().then_ascending(Field::ID))
    }

    /// Returns the entity with this id, unless it is deleted.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read.
    pub async fn find(&self, id: Id) -> Result<Option<E>, Error> {
        self.find_one(Find::new(Filter::id(id.object_id()).also(not_deleted()))).await
    }

    /// Returns the number of corrupt documents that lists have skipped.
    pub fn corrupt_count(&self) -> u64 {
        self.corrupt.count.load(Ordering::Relaxed)
    }

    pub(super) async fn find_one(&self, find: Find) -> Result<Option<E>, Error> {
        let document = self.collection.find_one_raw(find).await?;
        document.map(|document| Self::read(&document)).transpose()
    }

    /// Reads an entity from a document.
    pub(super) fn read(document: &RawDocument) -> Result<E, Error> {
        read_row(E::COLLECTION, document, E::from_row)
    }

    /// Drops what a list cannot read: counts it, and logs each corrupt document once.
    pub(super) fn or_skip<T>(&self, read: Result<T, Error>) -> Option<T> {
        let error = match read {
            Ok(entity) => return Some(entity),
            Err(error) => error,
        };
        self.corrupt.count.fetch_add(1, Ordering::Relaxed);
        if let Error::Corrupt { collection, id, field } = &error {
            let mut logged = self.corrupt.logged.lock();
            if logged.len() < MAX_LOGGED_CORRUPT && logged.insert(id.clone()) {
                tracing::error!(collection, document.id = id, field, "a list skips a corrupt document");
            }
        }
        None
    }
}

/// Reads a document of a collection with `from_row`.
pub(super) fn read_row<T>(
    collection: &'static str,
    document: &RawDocument,
    from_row: impl FnOnce(&Row<'_>) -> Result<T, BadField>,
) -> Result<T, Error> {
    Row::new(document).and_then(|row| from_row(&row)).map_err(|BadField(field)| {
        let id = document.get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok());
        Error::Corrupt { collection, id: display_id(&id.unwrap_or(Bson::Null)), field }
    })
}

/// Formats an id of any type for people.
pub(super) fn display_id(id: &Bson) -> String {
    match id {
        Bson::ObjectId(id) => id.to_hex(),
        Bson::String(text) => text.clone(),
        other => format!("{other}"),
    }
}
