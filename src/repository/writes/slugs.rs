use bson::oid::ObjectId;
use bson::{Bson, Document};
use chrono::{DateTime, Utc};
use docstore::{Filter, Find, Projection, Update};

use super::create_update::{UPDATED, Versioned, Writable, instant};
use super::slug_history;
use crate::domain::{Id, nth_slug};
use crate::repository::repository::shown;
use crate::repository::row::{is_deleted, not_deleted};
use crate::repository::{Error, Repository};

pub(super) const SLUG: &str = "slug";
/// What a deleted document was called before a live one took its slug.
pub(super) const SLUG_BEFORE: &str = "slug_before";
/// So many names are looked up at first, and then at the most.
const FEW: u64 = 8;
const MANY: u64 = 512;

/// An entity with a slug, which is unique in its collection.
///
/// The unique index decides who has a slug; whoever comes second takes the next suffix. It covers deleted documents
/// too: when a live one wants the slug of a deleted one, the deleted one's becomes `~<its id>`, which no title can
/// give, and the old one is kept in `slug_before`, for the day that it is restored.
pub trait Sluggable: Writable {
    /// Its slug.
    fn slug(&self) -> &str;
}

/// A name for something new, which was free when it was looked for.
#[derive(Debug)]
pub struct SlugReservation {
    id: ObjectId,
    slug: String,
    found: SlugCandidate,
}

/// The nth name of a slug, and the deleted document that has it.
#[derive(Debug)]
struct SlugCandidate {
    n: u64,
    name: String,
    deleted: Option<Document>,
}

impl<E: Sluggable> Repository<E> {
    /// The live entity of this slug, published or not.
    pub async fn find_versioned_by_slug(&self, slug: &str) -> Result<Option<Versioned<E>>, Error> {
        self.find_one_versioned(Filter::eq(SLUG, slug).also(not_deleted())).await
    }

    /// The live entity that had this slug last, whatever its slug is now.
    pub async fn find_versioned_by_former_slug(&self, slug: &str) -> Result<Option<Versioned<E>>, Error> {
        match slug_history::holder(&self.history, E::COLLECTION, slug).await? {
            Some(id) => self.find_versioned(id).await,
            None => Ok(None),
        }
    }

    /// Looks for the name of something new: this slug, or the first suffix of it that is free; its id if the slug is
    /// empty. Writes nothing.
    pub async fn reserve_slug(&self, slug: &str) -> Result<SlugReservation, Error> {
        let id = ObjectId::new();
        let slug = or_id(slug, id);
        let found = self.look_for_name(&slug, 1, None).await?;
        Ok(SlugReservation { id, slug, found })
    }

    /// Inserts a new one under this name; if somebody else has it by now, under the next suffix that is free.
    pub async fn insert_with_slug(
        &self,
        name: SlugReservation,
        new: &E::New,
        now: DateTime<Utc>,
    ) -> Result<Versioned<E>, Error> {
        let SlugReservation { id, slug, mut found } = name;
        loop {
            self.release_slug(&found).await?;
            let mut document = E::document(new, now);
            document.insert(SLUG, &found.name);
            match self.put(id, document, now).await {
                Err(error) if is_taken(&error) => {
                    found = self.look_for_name(&slug, found.n + 1, None).await?;
                }
                outcome => return outcome,
            }
        }
    }

    /// As [`Repository::change`], and gives it this slug, or the first suffix of it that is free. The slug it had is
    /// remembered.
    pub async fn rename(
        &self,
        stored: &Versioned<E>,
        slug: &str,
        change: &E::Change,
        now: DateTime<Utc>,
    ) -> Result<Option<Versioned<E>>, Error> {
        let slug = or_id(slug, stored.id);
        let held = stored.revised.item.slug();
        let mut from = 1;
        loop {
            let (n, name) = self.free_name(&slug, from, Some(stored.id)).await?;
            if name == held {
                return self.change(stored, change, now).await;
            }
            // Before the change: until it is made, the live document wins over what is remembered of it.
            if !held.is_empty() {
                slug_history::remember(&self.history, E::COLLECTION, held, Id::from(stored.id), now).await?;
            }
            let update = E::update(change).set(UPDATED, instant(now)).set(SLUG, name);
            match self.write(stored, update).await {
                Err(error) if is_taken(&error) => from = n + 1,
                outcome => return outcome,
            }
        }
    }

    /// The first name from the nth on that no other live document has. It may be gone when it is used.
    pub(super) async fn free_name(
        &self,
        slug: &str,
        from: u64,
        own: Option<ObjectId>,
    ) -> Result<(u64, String), Error> {
        let found = self.look_for_name(slug, from, own).await?;
        self.release_slug(&found).await?;
        Ok((found.n, found.name))
    }

    async fn look_for_name(
        &self,
        slug: &str,
        from: u64,
        own: Option<ObjectId>,
    ) -> Result<SlugCandidate, Error> {
        let (mut from, mut count) = (from, FEW);
        loop {
            let names: Vec<String> = (from..from + count).map(|n| nth_slug(slug, n)).collect();
            let found = self.holders(&names, own).await?;
            let held_by_other =
                |name: &str| found.iter().any(|(held, document)| held == name && is_not_deleted(document));
            if let Some((n, name)) = (from..).zip(names).find(|(_, name)| !held_by_other(name)) {
                let deleted = found.into_iter().find(|(held, _)| *held == name);
                return Ok(SlugCandidate { n, name, deleted: deleted.map(|(_, document)| document) });
            }
            from += count;
            count = (count * 4).min(MANY);
        }
    }

    async fn release_slug(&self, found: &SlugCandidate) -> Result<(), Error> {
        match &found.deleted {
            Some(deleted) => self.set_aside(&found.name, deleted).await,
            None => Ok(()),
        }
    }

    async fn holders(
        &self,
        slugs: &[String],
        own: Option<ObjectId>,
    ) -> Result<Vec<(String, Document)>, Error> {
        let others = own.map_or(Filter::All, |own| Filter::ne(docstore::Field::ID, own));
        let filter = Filter::is_in(SLUG, slugs.iter().map(String::as_str)).also(others);
        let find = Find::new(filter).projection(Projection::include([SLUG, "deleted", "is_deleted"]));
        let documents = self.collection.find(find).await?.documents().await?;
        let with_slug = |document: Document| Some((document.get_str(SLUG).ok()?.to_owned(), document));
        Ok(documents.into_iter().filter_map(with_slug).collect())
    }

    /// Takes the slug from a deleted document, unless it has been restored meanwhile.
    async fn set_aside(&self, slug: &str, deleted: &Document) -> Result<(), Error> {
        let id = deleted.get("_id").cloned().unwrap_or(Bson::Null);
        let aside = format!("~{}", shown(&id));
        let still = Filter::and([Filter::id(id), Filter::eq(SLUG, slug), is_deleted()]);
        let update = Update::new().set(SLUG, aside).set(SLUG_BEFORE, slug);
        self.collection.update_one(&still, &update).await?;
        Ok(())
    }
}

pub(super) fn or_id(slug: &str, id: ObjectId) -> String {
    if slug.is_empty() { id.to_hex() } else { slug.to_owned() }
}

fn is_not_deleted(document: &Document) -> bool {
    let marked = |mark| document.get(mark) == Some(&Bson::Boolean(true));
    !marked("deleted") && !marked("is_deleted")
}

pub(super) fn is_taken(error: &Error) -> bool {
    matches!(error, Error::Duplicate { fields, .. } if fields.iter().map(String::as_str).eq([SLUG]))
}
