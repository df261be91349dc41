use bson::oid::ObjectId;
use bson::{Bson, RawDocument, RawDocumentBuf};
use chrono::{DateTime, Utc};
use docstore::{Filter, Find, FindAndUpdate, Update};

use crate::domain::{Id, PatchOf, Revised, Revision};
use crate::repository::row::not_deleted;
use crate::repository::{DraftFields, Entity, Error, Repository};

/// The field that counts the changes of a document. Documents of the original do not have it.
pub(in crate::repository) const VERSION: &str = "version";
pub(super) const SLUG: &str = "slug";
const CREATED: &str = "createdDate";
pub(super) const UPDATED: &str = "updatedDate";
pub(super) const DELETED: &str = "deletedDate";

/// An entity to insert.
pub struct New<E: Entity> {
    /// The fields that its author wrote.
    pub draft: E::Draft,
    /// The author.
    pub user_id: Id,
    /// The section it belongs to, if any.
    pub section_id: Option<Id>,
}

/// A change of an entity.
pub struct Change<E: Entity> {
    /// The changed fields.
    pub patch: PatchOf<E>,
    /// The section it moves to, if it moves.
    pub section_id: Option<Id>,
}

/// An entity as it was read, with the version that optimistic concurrency control compares.
#[derive(Debug, Clone)]
pub struct Versioned<E> {
    /// The entity and its revision.
    pub revised: Revised<E>,
    pub(super) id: ObjectId,
    version: i64,
    same_version: Filter,
}

impl<E: Entity> Repository<E> {
    /// Returns the entity with this id and its version, unless it is deleted.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read.
    pub async fn find_versioned(&self, id: Id) -> Result<Option<Versioned<E>>, Error> {
        self.find_one_versioned(Filter::id(id.object_id()).also(not_deleted())).await
    }

    /// Inserts an entity without a slug.
    ///
    /// # Errors
    /// [`Error::Duplicate`] if a unique field already exists.
    pub async fn insert(&self, new: &New<E>, now: DateTime<Utc>) -> Result<Versioned<E>, Error> {
        self.insert_with_slug(ObjectId::new(), new, None, now).await
    }

    /// Updates an entity; `None` if it was changed or deleted since it was read.
    ///
    /// # Errors
    /// [`Error::Duplicate`] if a unique field already exists.
    pub async fn update(
        &self,
        versioned: &Versioned<E>,
        change: &Change<E>,
        now: DateTime<Utc>,
    ) -> Result<Option<Versioned<E>>, Error> {
        self.update_with_slug(versioned, change, None, now).await
    }

    /// Marks an entity as deleted; false if it was changed or deleted since it was read.
    pub async fn delete(&self, versioned: &Versioned<E>, now: DateTime<Utc>) -> Result<bool, Error> {
        let update = Update::new()
            .set("deleted", true)
            .set("is_deleted", true)
            .set(DELETED, instant(now))
            .set(VERSION, versioned.version.wrapping_add(1));
        Ok(self.collection.update_one(&versioned.unchanged(), &update).await?.matched > 0)
    }

    /// Removes an entity permanently; false if it was changed or deleted since it was read.
    pub async fn remove(&self, versioned: &Versioned<E>) -> Result<bool, Error> {
        Ok(self.collection.delete_one(&versioned.unchanged()).await? > 0)
    }

    pub(super) async fn insert_with_slug(
        &self,
        id: ObjectId,
        new: &New<E>,
        slug: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Versioned<E>, Error> {
        let New { draft, user_id, section_id } = new;
        let mut document = bson::doc! { "_id": id };
        document.extend(draft.to_document());
        E::derive_on_insert(draft, now, &mut document);
        document.insert("user_id", user_id.to_string());
        if let Some(section) = section_id {
            document.insert("section_id", section.to_string());
        }
        if let Some(slug) = slug {
            document.insert(SLUG, slug);
        }
        document.insert(CREATED, instant(now));
        document.insert(UPDATED, instant(now));
        document.insert(VERSION, 1_i64);
        let raw = RawDocumentBuf::try_from(&document).map_err(undecodable::<E>)?;
        self.collection.insert_one(document).await?;
        Self::read_versioned(&raw)
    }

    pub(super) async fn update_with_slug(
        &self,
        versioned: &Versioned<E>,
        change: &Change<E>,
        slug: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Option<Versioned<E>>, Error> {
        let Change { patch, section_id } = change;
        let update = versioned.revised.item.derive_on_update(patch, now, E::Draft::to_update(patch));
        let update = match section_id {
            Some(section) => update.set("section_id", section.to_string()),
            None => update,
        };
        let update = update.set(UPDATED, instant(now));
        let update = match slug {
            Some(slug) => update.set(SLUG, slug),
            None => update,
        };
        let update = update.set(VERSION, versioned.version.wrapping_add(1));
        let find = FindAndUpdate::new(versioned.unchanged(), update);
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
}

impl<E> Versioned<E> {
    /// Selects the entity unless it was changed or deleted since it was read.
    fn unchanged(&self) -> Filter {
        Filter::and([Filter::id(self.id), not_deleted(), self.same_version.clone()])
    }
}

/// Reports stored bytes that are not a document.
pub(super) fn undecodable<E: Entity>(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Store(docstore::Error::Decode { collection: E::COLLECTION.to_owned(), source: Box::new(error) })
}

pub(super) fn instant(at: DateTime<Utc>) -> Bson {
    Bson::DateTime(bson::DateTime::from_chrono(at))
}
