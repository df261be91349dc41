use bson::RawDocumentBuf;
use bson::oid::ObjectId;
use chrono::{DateTime, Utc};
use docstore::{Filter, Update};

use crate::domain::{Id, IdempotencyKey, PatchOf};
use crate::repository::row::{CREATED, DELETED, SLUG, UPDATED, VERSION, instant, not_deleted, refers};
use crate::repository::{DraftFields, Entity, Error, Repository, Versioned};

/// An entity to insert.
pub struct New<E: Entity> {
    /// The fields that its author wrote.
    pub draft: E::Draft,
    /// The author.
    pub user_id: Id,
    /// The section it belongs to, if any.
    pub section_id: Option<Id>,
    /// The key under which the author may repeat the request.
    pub key: Option<IdempotencyKey>,
}

/// A change of an entity.
pub struct Change<E: Entity> {
    /// The changed fields.
    pub patch: PatchOf<E>,
    /// The section it moves to, if it moves.
    pub section_id: Option<Id>,
}

impl<E: Entity> Repository<E> {
    /// Removes an entity from a section; `None` if it is not in it.
    pub async fn leave_section(&self, id: Id, section: Id) -> Result<Option<Versioned<E>>, Error> {
        let in_section =
            Filter::and([Filter::id(id.object_id()), not_deleted(), refers("section_id", section)]);
        let update = Update::new().unset("section_id").inc(VERSION, 1_i64);
        let written = self.collection.find_one_and_update(in_section, update).await?;
        written.map(|document| Self::read_versioned(&document)).transpose()
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
        let New { draft, user_id, section_id, key } = new;
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
        if let Some(key) = key {
            // Boxed, so that other creates do not carry its state.
            return Box::pin(self.insert_once(document, *user_id, key, now)).await;
        }
        let raw =
            RawDocumentBuf::try_from(&document).map_err(|error| Error::undecodable(E::COLLECTION, error))?;
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
        let written = self.collection.find_one_and_update(versioned.unchanged(), update).await?;
        written.map(|document| Self::read_versioned(&document)).transpose()
    }
}
