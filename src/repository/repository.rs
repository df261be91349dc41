//! Reads of entities, and what they share with writes and lists.

use std::collections::HashSet;
use std::marker::PhantomData;
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, RawDocument};
use docstore::{Collection, Database, Filter, Find};
use parking_lot::Mutex;

use super::entity::{Row, UPDATED, VERSION, not_deleted};
use super::lists::cursor::Cursors;
use super::lists::order;
use super::lists::totals::Totals;
use super::slug_history::SLUG_HISTORY;
use super::{BadField, Entity, Error};
use crate::domain::{Id, Revised, Revision, Visibility};

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
    /// The ids of corrupt documents that lists have skipped and logged.
    corrupt: Arc<Mutex<HashSet<String>>>,
    entity: PhantomData<fn() -> E>,
}

/// An entity as it was read, with the version that optimistic concurrency control compares.
#[derive(Debug, Clone)]
pub struct Versioned<E> {
    /// The entity and its revision.
    pub revised: Revised<E>,
    pub(super) id: ObjectId,
    pub(super) version: i64,
    same_version: Filter,
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
        Find::new(E::filter(filter).also(not_deleted())).sort(order::sort(E::ORDER))
    }

    /// Returns the entity with this id, unless it is deleted.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read.
    pub async fn find(&self, id: Id) -> Result<Option<E>, Error> {
        self.find_one(Find::new(Filter::id(id.object_id()).also(not_deleted()))).await
    }

    /// Returns the entity with this id and its version, unless it is deleted.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read.
    pub async fn find_versioned(&self, id: Id) -> Result<Option<Versioned<E>>, Error> {
        self.find_one_versioned(Filter::id(id.object_id()).also(not_deleted())).await
    }

    pub(super) async fn find_one(&self, find: Find) -> Result<Option<E>, Error> {
        let document = self.collection.find_one_raw(find).await?;
        document.map(|document| Self::read(&document)).transpose()
    }

    /// Reads an entity from a document.
    pub(super) fn read(document: &RawDocument) -> Result<E, Error> {
        read_row(E::COLLECTION, document, E::from_row)
    }

    /// Returns the entity with this id if callers of this visibility see it.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read.
    pub async fn find_visible(&self, id: Id, visibility: Visibility) -> Result<Option<Versioned<E>>, Error> {
        let visible = Filter::and([Filter::id(id.object_id()), not_deleted(), E::visible(visibility)]);
        self.find_one_versioned(visible).await
    }

    pub(super) async fn find_one_versioned(&self, filter: Filter) -> Result<Option<Versioned<E>>, Error> {
        let document = self.collection.find_one_raw(Find::new(filter)).await?;
        document.map(|document| Self::read_versioned(&document)).transpose()
    }

    pub(super) fn read_versioned(document: &RawDocument) -> Result<Versioned<E>, Error> {
        // The revision covers every stored byte, so that it differs after any change by any writer.
        let revision = Revision::from_bytes(document.as_bytes());
        let value = |field: &'static str| -> Result<Option<Bson>, Error> {
            let value = document.get(field).map_err(undecodable::<E>)?;
            value.map(Bson::try_from).transpose().map_err(undecodable::<E>)
        };
        let version = value(VERSION)?;
        // Writers that do not know the version change at least the date.
        let same = |field: &'static str, value: Option<Bson>| match value {
            Some(value) => Filter::eq(field, value),
            None => Filter::missing(field),
        };
        let same_version = Filter::and([same(VERSION, version.clone()), same(UPDATED, value(UPDATED)?)]);
        let version = match version {
            Some(Bson::Int64(version)) => version,
            Some(Bson::Int32(version)) => i64::from(version),
            _ => 0,
        };
        let id = document.get_object_id("_id").unwrap_or_default();
        let item = Self::read(document)?;
        Ok(Versioned { revised: Revised { item, revision }, id, version, same_version })
    }

    /// Drops what a list cannot read, and logs each corrupt document once.
    pub(super) fn or_skip<T>(&self, read: Result<T, Error>) -> Option<T> {
        let error = match read {
            Ok(entity) => return Some(entity),
            Err(error) => error,
        };
        if let Error::Corrupt { collection, id, field } = &error {
            let mut logged = self.corrupt.lock();
            if logged.len() < MAX_LOGGED_CORRUPT && logged.insert(id.clone()) {
                tracing::error!(collection, document.id = id, field, "a list skips a corrupt document");
            }
        }
        None
    }
}

impl<E> Versioned<E> {
    /// Selects the entity unless it was changed or deleted since it was read.
    pub(super) fn unchanged(&self) -> Filter {
        Filter::and([Filter::id(self.id), not_deleted(), self.same_version.clone()])
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

/// Reports stored bytes that are not a document.
pub(super) fn undecodable<E: Entity>(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Store(docstore::Error::Decode { collection: E::COLLECTION.to_owned(), source: Box::new(error) })
}
