use bson::oid::ObjectId;
use bson::{Bson, Document, RawDocument};
use chrono::{DateTime, Utc};
use docstore::{Field, Filter, Find, Projection, Sort, Update};

use super::create_update::{DELETED, UPDATED, VERSION, Writable, instant, unreadable};
use super::slug_history;
use super::slugs::{SLUG, SLUG_BEFORE, Sluggable, is_taken, or_id};
use crate::domain::{DeletedItem, Id, Listing, PageRequest, Restored, TrashType, slug_suffix, slugify};
use crate::repository::row::{date_or_none, is_deleted, own_id, row, text_or};
use crate::repository::{Error, Repository};

/// So many documents are purged before their slugs are forgotten.
const BATCH: u64 = 500;

/// An entity that can be found in the trash.
pub trait SoftDelete: Writable {
    /// What it is called there.
    const KIND: TrashType;
    /// The field with its name in addresses.
    const NAME: &'static str = SLUG;
    /// The field with the name that it had, if another took it meanwhile.
    const NAME_BEFORE: &'static str = SLUG_BEFORE;
}

row! {
    /// As much of a deleted document as a list shows. That it cannot be read may be why it was deleted.
    struct TrashRow {
        id = "_id",
        title = "title",
        slug = "slug",
        slug_before = "slug_before",
        page_type = "page_type",
        page_type_before = "page_type_before",
        deleted = "deletedDate",
        updated = "updatedDate",
    }
}

impl<E: SoftDelete> Repository<E> {
    /// What is deleted, the latest first, as much as is asked for; what the original deleted without a date comes last.
    ///
    /// # Errors
    /// [`Error::Cursor`] if the walk is one over another list.
    pub async fn list_deleted(&self, part: impl Into<PageRequest>) -> Result<Listing<DeletedItem>, Error> {
        self.page(Self::deleted_query(), part.into(), Self::read_deleted).await
    }

    /// How a list of what is deleted is read.
    pub fn deleted_query() -> Find {
        let fields = ["title", DELETED, UPDATED, E::NAME, E::NAME_BEFORE];
        Find::new(is_deleted())
            .sort(Sort::descending(DELETED).then_ascending(Field::ID))
            .projection(Projection::include(fields))
    }

    /// The deleted entity with this id.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is there and cannot be read.
    pub async fn find_deleted(&self, id: Id) -> Result<Option<E>, Error> {
        self.find_one(in_trash(id)).await
    }

    /// How many were deleted at this instant or before. Where there is no date of it, the last change counts; where
    /// there is none of that either, the time at which the id was made. What has no time at all has had all the time.
    pub async fn count_deleted_until(&self, instant: DateTime<Utc>) -> Result<u64, Error> {
        Ok(self.collection.count(&deleted_until(instant)).await?)
    }

    /// Removes for good what [`Repository::count_deleted_until`] counts, and forgets the slugs that it had; returns
    /// how many there were. What is restored meanwhile stays.
    pub async fn purge_deleted_until(&self, instant: DateTime<Utc>) -> Result<u64, Error> {
        let expired = deleted_until(instant);
        let mut purged = 0;
        loop {
            let find = Find::new(expired.clone()).projection(Projection::include([UPDATED])).limit(BATCH);
            let documents = self.collection.find(find).await?.documents().await?;
            if documents.is_empty() {
                return Ok(purged);
            }
            let mut gone = Vec::new();
            for id in documents.iter().filter_map(|document| document.get("_id")) {
                let still = expired.clone().also(Filter::id(id.clone()));
                if self.collection.delete_one(&still).await? > 0 {
                    purged += 1;
                    gone.extend(id.as_object_id().map(Id::from));
                }
            }
            slug_history::forget(&self.history, E::COLLECTION, &gone).await?;
        }
    }

    /// Takes a document out of the trash, under this name; false if it is no longer there.
    pub(in crate::repository) async fn undelete(
        &self,
        id: Id,
        name: &str,
        with: Update,
    ) -> Result<bool, Error> {
        let update = with
            .set("deleted", false)
            .set("is_deleted", false)
            .unset(DELETED)
            .unset(E::NAME_BEFORE)
            .set(E::NAME, name)
            .inc(VERSION, 1_i64);
        Ok(self.collection.update_one(&in_trash(id), &update).await?.matched > 0)
    }

    /// A document in the trash as it is stored, if it can be read when it is live again.
    pub(in crate::repository) async fn find_restorable(&self, id: Id) -> Result<Option<Document>, Error> {
        let Some(raw) = self.collection.find_one_raw(Find::new(in_trash(id))).await? else {
            return Ok(None);
        };
        Self::read(&raw)?;
        Document::try_from(raw.as_ref()).map(Some).map_err(unreadable::<E>)
    }

    fn read_deleted(document: &RawDocument) -> Result<DeletedItem, Error> {
        Self::read_as(document, |row: TrashRow<'_>| {
            let TrashRow { id, title, slug, slug_before, page_type, page_type_before, deleted, updated } =
                row;
            let name = [slug_before, slug, page_type_before, page_type].into_iter().flatten().next();
            Ok(DeletedItem {
                id: own_id(id)?,
                kind: E::KIND,
                title: text_or(title, "title", "").unwrap_or_default(),
                slug: text_or(name, E::NAME, "").unwrap_or_default(),
                deleted: date_or_none(deleted, DELETED).unwrap_or_default(),
                updated: date_or_none(updated, UPDATED).unwrap_or_default(),
            })
        })
    }
}

impl<E: Sluggable + SoftDelete> Repository<E> {
    /// Restores a deleted entity under the slug that it had, or under the next suffix of it that is free; `None` if
    /// it is not in the trash.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it could not be read afterwards; it stays where it is.
    pub async fn restore(&self, id: Id) -> Result<Option<Restored>, Error> {
        self.restore_with(id, &Update::new()).await
    }

    pub(in crate::repository) async fn restore_with(
        &self,
        id: Id,
        with: &Update,
    ) -> Result<Option<Restored>, Error> {
        let Some(document) = self.find_restorable(id).await? else { return Ok(None) };
        let title = document.get_str("title").unwrap_or_default().to_owned();
        let base = slugify(&title);
        let held = held_slug(&document).unwrap_or(&base);
        let (slug, mut from) = match slug_suffix(held, &base) {
            Some(n) => (base.as_str(), n),
            None => (held, 1),
        };
        let slug = or_id(slug, id.object_id());
        loop {
            let (n, name) = self.free_name(&slug, from, Some(id.object_id())).await?;
            match self.undelete(id, &name, with.clone()).await {
                Ok(true) => return Ok(Some(Restored { id, title, slug: name })),
                Ok(false) => return Ok(None),
                // Somebody else took it meanwhile.
                Err(error) if is_taken(&error) => from = n + 1,
                Err(error) => return Err(error),
            }
        }
    }
}

/// The slug that a document had when it was deleted.
fn held_slug(document: &Document) -> Option<&str> {
    let of = |field| document.get_str(field).ok().filter(|slug| !slug.is_empty());
    // What was set aside without a note of its slug cannot have had that one.
    of(SLUG_BEFORE).or_else(|| of(SLUG).filter(|slug| !slug.starts_with('~')))
}

fn in_trash(id: Id) -> Filter {
    Filter::and([Filter::id(id.object_id()), is_deleted()])
}

fn deleted_until(at: DateTime<Utc>) -> Filter {
    let dated = Filter::lte(DELETED, instant(at));
    let changed = Filter::and([without_date(DELETED), Filter::lte(UPDATED, instant(at))]);
    let made = Filter::and([without_date(DELETED), without_date(UPDATED), made_until(at)]);
    Filter::and([is_deleted(), Filter::or([dated, changed, made])])
}

/// Comparisons stay within a type, so that no text and no null is later than the first date.
fn without_date(field: &'static str) -> Filter {
    Filter::gte(field, Bson::DateTime(bson::DateTime::MIN)).negated()
}

/// An id that is no object id says nothing of its age. Before 1970 nothing was made.
fn made_until(at: DateTime<Utc>) -> Filter {
    let Ok(seconds) = u64::try_from(at.timestamp()) else { return Filter::Or(Vec::new()) };
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    let last = ObjectId::from_parts(seconds, [u8::MAX; 5], [u8::MAX; 3]);
    Filter::gt(Field::ID, last).negated()
}
