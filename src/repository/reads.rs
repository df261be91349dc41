//! The repository of an entity, and its reads other than lists.

use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, RawDocument, RawDocumentBuf};
use docstore::{Collection, Database, Filter, Find};
use parking_lot::Mutex;

use super::engagement::EngagementRecords;
use super::entity::seen;
use super::idempotency::IdempotencyRecords;
use super::lists::cursor::Cursors;
use super::lists::order;
use super::lists::totals::Totals;
use super::row::{SLUG_HISTORY, UPDATED, VERSION, not_deleted, read_row};
use super::{Entity, Error, SoftDelete};
use crate::domain::{Id, Revised, Revision, SlugLookup, Visibility};

/// The maximum number of corrupt documents that are remembered, so that each is logged once.
const MAX_LOGGED_CORRUPT: usize = 10_000;

/// Reads and writes the entities of one collection. Cheap to clone.
#[derive(Clone)]
pub struct Repository<E> {
    pub(super) collection: Collection,
    /// Former slugs, of all collections.
    pub(super) history: Collection,
    pub(super) idempotency: IdempotencyRecords,
    pub(super) engagement: EngagementRecords,
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
            idempotency: IdempotencyRecords::new(database),
            engagement: EngagementRecords::new(database),
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

    /// Returns the entities with these ids and their versions, except those that are deleted.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if one cannot be read.
    pub async fn find_all_versioned(
        &self,
        ids: impl IntoIterator<Item = Id>,
    ) -> Result<HashMap<Id, Versioned<E>>, Error> {
        let ids = ids.into_iter().map(|id| Bson::ObjectId(id.object_id()));
        let find = Find::new(Filter::is_in("_id", ids).also(not_deleted()));
        let documents = self.collection.find(find).await?.raw_documents().await?;
        let read = |document: &RawDocumentBuf| {
            let versioned = Self::read_versioned(document)?;
            Ok((versioned.revised.item.meta().id, versioned))
        };
        documents.iter().map(read).collect()
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
        self.find_one_versioned(seen::<E>(Filter::id(id.object_id()), visibility)).await
    }

    pub(super) async fn find_one_versioned(&self, filter: Filter) -> Result<Option<Versioned<E>>, Error> {
        let document = self.collection.find_one_raw(Find::new(filter)).await?;
        document.map(|document| Self::read_versioned(&document)).transpose()
    }

    pub(super) fn read_versioned(document: &RawDocument) -> Result<Versioned<E>, Error> {
        // The revision covers every stored byte, so that it differs after any change by any writer.
        let revision = Revision::from_bytes(document.as_bytes());
        let value = |field: &'static str| -> Result<Option<Bson>, Error> {
            let value = document.get(field).map_err(|error| Error::undecodable(E::COLLECTION, error))?;
            value.map(Bson::try_from).transpose().map_err(|error| Error::undecodable(E::COLLECTION, error))
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

impl<E: SoftDelete> Repository<E> {
    /// Returns the filter of the item that has a name, if callers of this visibility see it.
    pub fn name_filter(name: &str, visibility: Visibility) -> Filter {
        seen::<E>(Filter::eq(E::NAME_FIELD, name), visibility)
    }

    /// Looks up the item that a name leads to for callers of this visibility: its current holder, else a former one.
    ///
    /// The common case is one query. Every name that leads nowhere takes the same queries, whether it is unknown or
    /// belongs to a deleted item or a draft, so that their times do not differ.
    pub async fn find_by_name(
        &self,
        name: &str,
        visibility: Visibility,
    ) -> Result<Option<SlugLookup<E>>, Error> {
        match self.find_one_versioned(Self::name_filter(name, visibility)).await? {
            Some(current) => Ok(Some(SlugLookup::Current(current.revised))),
            None => self.find_by_former_name(name, visibility).await,
        }
    }
}

impl<E> Versioned<E> {
    /// Selects the entity unless it was changed or deleted since it was read.
    pub(super) fn unchanged(&self) -> Filter {
        self.same().also(not_deleted())
    }

    /// Selects the entity unless it was changed since it was read, even if it is deleted.
    pub(super) fn same(&self) -> Filter {
        Filter::and([Filter::id(self.id), self.same_version.clone()])
    }
}
