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
use super::writes::slug_history;
use super::{BadField, Entity, Error};
use crate::domain::Id;

/// So many corrupt documents are remembered, each of which is logged once.
const REMEMBERED: usize = 10_000;

/// Reads and writes entities of one kind. Cheap to clone.
pub struct Repository<E> {
    pub(super) collection: Collection,
    /// Slugs that were changed, of all collections.
    pub(super) history: Collection,
    pub(super) totals: Arc<Totals>,
    pub(super) cursors: Arc<Cursors>,
    corrupt: Arc<Corrupt>,
    entity: PhantomData<fn() -> E>,
}

#[derive(Default)]
struct Corrupt {
    met: AtomicU64,
    logged: Mutex<HashSet<String>>,
}

impl<E> Clone for Repository<E> {
    fn clone(&self) -> Self {
        Self {
            collection: self.collection.clone(),
            history: self.history.clone(),
            totals: Arc::clone(&self.totals),
            cursors: Arc::clone(&self.cursors),
            corrupt: Arc::clone(&self.corrupt),
            entity: PhantomData,
        }
    }
}

impl<E: Entity> Repository<E> {
    /// The repository of a database.
    pub fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(E::COLLECTION),
            history: database.collection(slug_history::COLLECTION),
            totals: Arc::new(Totals::new(database, E::COLLECTION)),
            cursors: Arc::new(Cursors::new(database, E::COLLECTION)),
            corrupt: Arc::default(),
            entity: PhantomData,
        }
    }

    /// How a list is read, from its beginning to its end.
    pub fn list_query(filter: &E::Filter) -> Find {
        Find::new(E::filter(filter).also(not_deleted())).sort(E::sort().then_ascending(Field::ID))
    }

    /// The live entity with this id.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is there and cannot be read.
    pub async fn find(&self, id: Id) -> Result<Option<E>, Error> {
        self.find_one(Filter::id(id.object_id()).also(not_deleted())).await
    }

    /// How many corrupt documents lists have passed over.
    pub fn corrupt_count(&self) -> u64 {
        self.corrupt.met.load(Ordering::Relaxed)
    }

    pub(super) async fn find_one(&self, filter: Filter) -> Result<Option<E>, Error> {
        self.find_first(Find::new(filter)).await
    }

    pub(super) async fn find_first(&self, find: Find) -> Result<Option<E>, Error> {
        let document = self.collection.find_one_raw(find).await?;
        document.map(|document| Self::read(&document)).transpose()
    }

    /// Reads a document as it came, as a row of any kind.
    pub(super) fn read_as<'d, R: Row<'d>, T>(
        document: &'d RawDocument,
        from_row: impl FnOnce(R) -> Result<T, BadField>,
    ) -> Result<T, Error> {
        let corrupt = |BadField(field)| {
            let id = document.get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok());
            Error::Corrupt { collection: E::COLLECTION, id: shown(&id.unwrap_or(Bson::Null)), field }
        };
        let row = R::read(document).map_err(|_| corrupt(BadField("(document)")))?;
        from_row(row).map_err(corrupt)
    }

    pub(super) fn read(document: &RawDocument) -> Result<E, Error> {
        Self::read_as(document, E::from_row)
    }

    /// In lists, what cannot be read is passed over.
    pub(super) fn or_skip<T>(&self, read: Result<T, Error>) -> Option<T> {
        match read {
            Ok(entity) => Some(entity),
            Err(error) => {
                self.corrupt.met.fetch_add(1, Ordering::Relaxed);
                if let Error::Corrupt { collection, id, field } = &error {
                    let mut logged = self.corrupt.logged.lock();
                    if logged.len() < REMEMBERED && logged.insert(id.clone()) {
                        tracing::error!(
                            collection,
                            document.id = id,
                            field,
                            "a list passes over a corrupt document"
                        );
                    }
                }
                None
            }
        }
    }
}

/// An id for people, whatever its type.
pub(super) fn shown(id: &Bson) -> String {
    match id {
        Bson::ObjectId(id) => id.to_hex(),
        Bson::String(text) => text.clone(),
        other => format!("{other}"),
    }
}
