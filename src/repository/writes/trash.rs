use bson::oid::ObjectId;
use bson::{Bson, Document, RawDocument};
use chrono::{DateTime, Utc};
use docstore::{Field, Filter, Find, Projection, Sort, Update};

use super::slugs::slug_or_id;
use crate::domain::{DeletedItem, Id, Listing, PageRequest, Restored, slug_suffix, slugify};
use crate::repository::row::{
    DELETED, SLUG, UPDATED, VERSION, first_text, instant, is_deleted, object_id, optional_date, read_row,
    text,
};
use crate::repository::{Error, Repository, Sluggable, SoftDelete};

/// The number of documents that are purged before their former names, and the requests that created them, are forgotten.
const PURGE_BATCH: u64 = 500;

impl<E: SoftDelete> Repository<E> {
    /// Lists the deleted entities, the last deleted first; those that the original deleted, without a date, come last.
    ///
    /// # Errors
    /// [`Error::Cursor`] if the cursor belongs to another list.
    pub async fn list_deleted(&self, page: impl Into<PageRequest>) -> Result<Listing<DeletedItem>, Error> {
        self.list_page(Self::deleted_query(), page.into(), Self::read_deleted).await
    }

    /// Returns the query of the whole list of deleted entities.
    pub fn deleted_query() -> Find {
        let fields = [E::TITLE_FIELD, DELETED, UPDATED, E::NAME_FIELD, E::FORMER_NAME_FIELD];
        Find::new(is_deleted())
            .sort(Sort::descending(DELETED).then_ascending(Field::ID))
            .projection(Projection::include(fields))
    }

    /// Returns the deleted entity with this id.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read.
    pub async fn find_deleted(&self, id: Id) -> Result<Option<E>, Error> {
        self.find_one(Find::new(deleted_with_id(id))).await
    }

    /// Counts the entities that were deleted at this instant or earlier. Without a date of deletion the last change
    /// counts, and without that the time in the id. A document without any time is older than every instant.
    pub async fn count_deleted_until(&self, instant: DateTime<Utc>) -> Result<u64, Error> {
        Ok(self.collection.count(&deleted_until(instant)).await?)
    }

    /// Removes permanently what [`Repository::count_deleted_until`] counts, with its reactions and comments, forgets its
    /// former names and the requests that created it, and returns the number of removed documents. Documents that are restored concurrently stay.
    pub async fn purge_deleted_until(&self, instant: DateTime<Utc>) -> Result<u64, Error> {
        self.purge_matching(&deleted_until(instant)).await
    }

    /// As [`Repository::purge_deleted_until`], for the deleted entity with this id; false if it is not deleted.
    pub async fn purge_deleted(&self, id: Id) -> Result<bool, Error> {
        Ok(self.purge_matching(&deleted_with_id(id)).await? > 0)
    }

    async fn purge_matching(&self, filter: &Filter) -> Result<u64, Error> {
        let mut purged = 0;
        loop {
            let find =
                Find::new(filter.clone()).projection(Projection::include([UPDATED])).limit(PURGE_BATCH);
            let documents = self.collection.find(find).await?.documents().await?;
            if documents.is_empty() {
                return Ok(purged);
            }
            let mut removed = Vec::new();
            for id in documents.iter().filter_map(|document| document.get("_id")) {
                let still_deleted = filter.clone().also(Filter::id(id.clone()));
                if self.collection.delete_one(&still_deleted).await? > 0 {
                    purged += 1;
                    removed.extend(id.as_object_id().map(Id::from));
                }
            }
            self.forget_names(&removed).await?;
            self.idempotency.forget(&removed).await?;
            if let Some(kind) = E::TARGET_TYPE {
                self.engagement.forget(kind, &removed).await?;
            }
        }
    }

    /// Restores a deleted document under this name; false if it is no longer deleted.
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
            .unset(E::FORMER_NAME_FIELD)
            .set(E::NAME_FIELD, name)
            .inc(VERSION, 1_i64);
        Ok(self.collection.update_one(&deleted_with_id(id), &update).await?.matched > 0)
    }

    /// Returns a deleted document; fails if it could not be read after it is restored.
    pub(in crate::repository) async fn find_restorable(&self, id: Id) -> Result<Option<Document>, Error> {
        let Some(raw) = self.collection.find_one_raw(Find::new(deleted_with_id(id))).await? else {
            return Ok(None);
        };
        Self::read(&raw)?;
        Document::try_from(raw.as_ref()).map(Some).map_err(|error| Error::undecodable(E::COLLECTION, error))
    }

    /// Reads what a list shows of a deleted document. Unreadable fields may be the reason that it was deleted.
    fn read_deleted(document: &RawDocument) -> Result<DeletedItem, Error> {
        read_row(E::COLLECTION, document, |row| {
            let name = |field| row.read(field, Some).ok().flatten();
            let name = name(E::FORMER_NAME_FIELD).or_else(|| name(E::NAME_FIELD));
            Ok(DeletedItem {
                id: row.read("_id", object_id)?,
                kind: E::TRASH_TYPE,
                title: row.read(E::TITLE_FIELD, first_text).unwrap_or_default(),
                slug: text(name).unwrap_or_default(),
                deleted: row.read(DELETED, optional_date).unwrap_or_default(),
                updated: row.read(UPDATED, optional_date).unwrap_or_default(),
            })
        })
    }
}

impl<E: Sluggable> Repository<E> {
    /// Restores a deleted entity under its former slug, or the next free suffix; `None` if it is not in the trash.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read; it stays in the trash.
    pub async fn restore(&self, id: Id, now: DateTime<Utc>) -> Result<Option<Restored>, Error> {
        self.restore_with(id, &Update::new(), now).await
    }

    pub(in crate::repository) async fn restore_with(
        &self,
        id: Id,
        with: &Update,
        now: DateTime<Utc>,
    ) -> Result<Option<Restored>, Error> {
        let Some(document) = self.find_restorable(id).await? else { return Ok(None) };
        let title = document.get_str("title").unwrap_or_default().to_owned();
        let from_title = slugify(&title);
        let former = former_slug(&document);
        let wanted = former.unwrap_or(&from_title);
        let (base, mut from) = match slug_suffix(wanted, &from_title) {
            Some(n) => (from_title.as_str(), n),
            None => (wanted, 1),
        };
        let base = slug_or_id(base, id.object_id());
        loop {
            let candidate = self.free_candidate(&base, from, Some(id.object_id()), now).await?;
            if let Some(former) = former.filter(|former| *former != candidate.slug) {
                self.remember_name_once(former, id, now).await?;
            }
            match self.undelete(id, &candidate.slug, with.clone()).await {
                Ok(true) => return Ok(Some(Restored { id, title, slug: candidate.slug })),
                Ok(false) => return Ok(None),
                Err(error) if error.is_duplicate(SLUG) => from = candidate.n + 1,
                Err(error) => return Err(error),
            }
        }
    }
}

/// Returns the slug that a document had when it was deleted.
fn former_slug(document: &Document) -> Option<&str> {
    let given = |field| document.get_str(field).ok().filter(|slug| !slug.is_empty());
    // A placeholder was never the document's own slug.
    given("slug_before").or_else(|| given(SLUG).filter(|slug| !slug.starts_with('~')))
}

pub(in crate::repository) fn deleted_with_id(id: Id) -> Filter {
    Filter::and([Filter::id(id.object_id()), is_deleted()])
}

pub(in crate::repository) fn deleted_until(at: DateTime<Utc>) -> Filter {
    let deleted = Filter::lte(DELETED, instant(at));
    let changed = Filter::and([without_date(DELETED), Filter::lte(UPDATED, instant(at))]);
    let created = Filter::and([without_date(DELETED), without_date(UPDATED), created_until(at)]);
    Filter::and([is_deleted(), Filter::or([deleted, changed, created])])
}

/// Selects documents whose field holds no date. Comparisons stay within a type, so only dates match the inner filter.
fn without_date(field: &'static str) -> Filter {
    Filter::gte(field, Bson::DateTime(bson::DateTime::MIN)).negated()
}

/// Selects documents by the time in their id. Ids that are not object ids match; before 1970 nothing does.
fn created_until(at: DateTime<Utc>) -> Filter {
    let Ok(seconds) = u64::try_from(at.timestamp()) else { return Filter::Or(Vec::new()) };
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    let last = ObjectId::from_parts(seconds, [u8::MAX; 5], [u8::MAX; 3]);
    Filter::gt(Field::ID, last).negated()
}
