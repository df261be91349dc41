//! Writes, the same for all entities: each change names the state that it was made for, so that of two at the same
//! time only one is made.

use bson::oid::ObjectId;
use bson::{Bson, Document, RawDocument, RawDocumentBuf};
use chrono::{DateTime, Utc};
use docstore::{Filter, Find, FindAndUpdate, Update};

use crate::domain::{Id, Revised, Revision};
use crate::repository::row::not_deleted;
use crate::repository::{Entity, Error, Repository};

/// Counts the changes of a document. Documents of the original have none.
pub(in crate::repository) const VERSION: &str = "version";
pub(super) const CREATED: &str = "createdDate";
pub(super) const UPDATED: &str = "updatedDate";
pub(super) const DELETED: &str = "deletedDate";

/// An entity that can be written.
pub trait Writable: Entity {
    /// What it is made of when it comes into being.
    type New: Send + Sync;
    /// What is changed in it.
    type Change: Send + Sync;

    /// The fields of a new document, but for its id, its slug and its dates.
    fn document(new: &Self::New, now: DateTime<Utc>) -> Document;

    /// The changes of fields, but for the slug and the dates.
    fn update(change: &Self::Change) -> Update;
}

/// An entity as it was read, and the state that a change of it is made for.
#[derive(Debug, Clone)]
pub struct Versioned<E> {
    /// The entity and its revision.
    pub revised: Revised<E>,
    pub(super) id: ObjectId,
    pub(super) version: i64,
    pub(super) same_state: Filter,
}

impl<E: Writable> Repository<E> {
    /// The live entity with this id, to be changed.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is there and cannot be read.
    pub async fn find_versioned(&self, id: Id) -> Result<Option<Versioned<E>>, Error> {
        self.find_one_versioned(Filter::id(id.object_id()).also(not_deleted())).await
    }

    /// Inserts a new one that has no slug.
    ///
    /// # Errors
    /// [`Error::Duplicate`] if a unique field is taken.
    pub async fn insert(&self, new: &E::New, now: DateTime<Utc>) -> Result<Versioned<E>, Error> {
        self.put(ObjectId::new(), E::document(new, now), now).await
    }

    /// Makes a change of this state; `None` if it is in another by now, or deleted.
    ///
    /// # Errors
    /// [`Error::Duplicate`] if a unique field is taken.
    pub async fn change(
        &self,
        stored: &Versioned<E>,
        change: &E::Change,
        now: DateTime<Utc>,
    ) -> Result<Option<Versioned<E>>, Error> {
        self.write(stored, E::update(change).set(UPDATED, instant(now))).await
    }

    /// Marks this state as deleted, by both marks; false if it is in another by now, or deleted already.
    pub async fn delete(&self, stored: &Versioned<E>, now: DateTime<Utc>) -> Result<bool, Error> {
        let update = Update::new()
            .set("deleted", true)
            .set("is_deleted", true)
            .set(DELETED, instant(now))
            .set(VERSION, stored.version.wrapping_add(1));
        Ok(self.collection.update_one(&stored.still(), &update).await?.matched > 0)
    }

    /// Removes this state for good; false if it is in another by now, or deleted.
    pub async fn remove(&self, stored: &Versioned<E>) -> Result<bool, Error> {
        Ok(self.collection.delete_one(&stored.still()).await? > 0)
    }

    pub(super) async fn put(
        &self,
        id: ObjectId,
        fields: Document,
        now: DateTime<Utc>,
    ) -> Result<Versioned<E>, Error> {
        let mut document = Document::new();
        document.insert("_id", id);
        document.extend(fields);
        document.insert(CREATED, instant(now));
        document.insert(UPDATED, instant(now));
        document.insert(VERSION, 1_i64);
        let raw = RawDocumentBuf::try_from(&document).map_err(unreadable::<E>)?;
        self.collection.insert_one(document).await?;
        Self::read_versioned(&raw)
    }

    pub(super) async fn write(
        &self,
        stored: &Versioned<E>,
        update: Update,
    ) -> Result<Option<Versioned<E>>, Error> {
        let update = update.set(VERSION, stored.version.wrapping_add(1));
        let find = FindAndUpdate::new(stored.still(), update);
        let written = self.collection.find_one_and_update_raw(find).await?;
        written.map(|document| Self::read_versioned(&document)).transpose()
    }

    pub(in crate::repository) async fn find_one_versioned(
        &self,
        filter: Filter,
    ) -> Result<Option<Versioned<E>>, Error> {
        let document = self.collection.find_one_raw(Find::new(filter)).await?;
        document.map(|document| Self::read_versioned(&document)).transpose()
    }

    fn read_versioned(document: &RawDocument) -> Result<Versioned<E>, Error> {
        // Sluggable after all that is stored, so that no change goes unseen, whoever made it.
        let revision = Revision::from_bytes(document.as_bytes());
        let value = |field: &'static str| -> Result<Option<Bson>, Error> {
            let value = document.get(field).map_err(unreadable::<E>)?;
            value.map(Bson::try_from).transpose().map_err(unreadable::<E>)
        };
        let version = value(VERSION)?;
        // Writers that know of no version change the date at least.
        let same = |field: &'static str, value: Option<Bson>| match value {
            Some(value) => Filter::eq(field, value),
            None => Filter::missing(field),
        };
        let same_state = Filter::and([same(VERSION, version.clone()), same(UPDATED, value(UPDATED)?)]);
        let version = match version {
            Some(Bson::Int64(version)) => version,
            Some(Bson::Int32(version)) => i64::from(version),
            _ => 0,
        };
        let id = document.get_object_id("_id").unwrap_or_default();
        let item = Self::read(document)?;
        Ok(Versioned { revised: Revised { item, revision }, id, version, same_state })
    }
}

impl<E> Versioned<E> {
    fn still(&self) -> Filter {
        Filter::and([Filter::id(self.id), not_deleted(), self.same_state.clone()])
    }
}

/// Versioned bytes that are no document.
pub(super) fn unreadable<E: Entity>(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Store(docstore::Error::Decode { collection: E::COLLECTION.to_owned(), source: Box::new(error) })
}

pub(super) fn instant(at: DateTime<Utc>) -> Bson {
    Bson::DateTime(bson::DateTime::from_chrono(at))
}
