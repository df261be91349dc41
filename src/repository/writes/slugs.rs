//! Unique slugs.
//!
//! The unique index decides who gets a slug; the second writer takes the next suffix. The index covers deleted documents
//! too: when an item wants the slug of a deleted one, the deleted one is renamed to `~<its id>`, which no title can give,
//! and keeps its slug in `slug_before` until it is restored.
//!
//! The slug history has one document per former slug: `{collection, slug, item, createdDate}`. It names the item and not
//! its next slug, so there are neither chains nor loops, however often an item is renamed.

use bson::oid::ObjectId;
use bson::{Bson, Document};
use chrono::{DateTime, Utc};
use docstore::{Field, Filter, Find, Projection, Update};

use super::create_update::{Change, New};
use crate::domain::{Id, nth_slug};
use crate::repository::entity::{SLUG, instant, is_deleted};
use crate::repository::repository::{display_id, former_slug};
use crate::repository::{Error, Repository, Sluggable, SoftDelete, Versioned};

/// The number of candidates that the first query looks up; later queries look up four times as many each.
const FIRST_CANDIDATES: u64 = 8;
/// The maximum number of candidates of one query.
const MAX_CANDIDATES: u64 = 512;

/// A slug for a new entity, free when it was looked up.
#[derive(Debug)]
pub struct SlugReservation {
    id: ObjectId,
    base: String,
    candidate: Candidate,
}

/// The nth name of a slug, and the deleted document that has it.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) n: u64,
    pub(super) slug: String,
    holder: Option<Document>,
}

impl<E: Sluggable> Repository<E> {
    /// Looks up a slug for a new entity: this one, or its first free suffix; the id if it is empty. Writes nothing.
    pub async fn reserve_slug(&self, slug: &str) -> Result<SlugReservation, Error> {
        let id = ObjectId::new();
        let base = slug_or_id(slug, id);
        let candidate = self.find_candidate(&base, 1, None).await?;
        Ok(SlugReservation { id, base, candidate })
    }

    /// Inserts an entity under a reserved slug, or under the next free suffix if it was taken since.
    pub async fn insert_reserved(
        &self,
        reservation: SlugReservation,
        new: &New<E>,
        now: DateTime<Utc>,
    ) -> Result<Versioned<E>, Error> {
        let SlugReservation { id, base, mut candidate } = reservation;
        loop {
            self.release_candidate(&candidate).await?;
            match self.insert_with_slug(id, new, Some(&candidate.slug), now).await {
                Err(error) if error.is_duplicate(SLUG) => {
                    candidate = self.find_candidate(&base, candidate.n + 1, None).await?;
                }
                outcome => return outcome,
            }
        }
    }

    /// Updates an entity as [`Repository::update`] does, and gives it this slug or its first free suffix. Its former
    /// slug is remembered.
    pub async fn rename(
        &self,
        versioned: &Versioned<E>,
        slug: &str,
        change: &Change<E>,
        now: DateTime<Utc>,
    ) -> Result<Option<Versioned<E>>, Error> {
        let base = slug_or_id(slug, versioned.id);
        let current = versioned.revised.item.slug();
        let mut from = 1;
        loop {
            let candidate = self.free_candidate(&base, from, Some(versioned.id)).await?;
            if candidate.slug == current {
                return self.update(versioned, change, now).await;
            }
            // Remembered before the update: until it is made, the entity itself wins over its history.
            if !current.is_empty() {
                self.remember_slug(current, Id::from(versioned.id), now).await?;
            }
            match self.update_with_slug(versioned, change, Some(&candidate.slug), now).await {
                Err(error) if error.is_duplicate(SLUG) => from = candidate.n + 1,
                outcome => return outcome,
            }
        }
    }

    /// Finds the first candidate from the nth on and takes it from a deleted document. It may be taken again before it
    /// is used.
    pub(super) async fn free_candidate(
        &self,
        base: &str,
        from: u64,
        own: Option<ObjectId>,
    ) -> Result<Candidate, Error> {
        let candidate = self.find_candidate(base, from, own).await?;
        self.release_candidate(&candidate).await?;
        Ok(candidate)
    }

    /// Finds the first candidate from the nth on that no other entity has, deleted ones apart.
    async fn find_candidate(&self, base: &str, from: u64, own: Option<ObjectId>) -> Result<Candidate, Error> {
        let (mut from, mut count) = (from, FIRST_CANDIDATES);
        loop {
            let slugs: Vec<String> = (from..from + count).map(|n| nth_slug(base, n)).collect();
            let mut holders = self.slug_holders(&slugs, own).await?;
            let is_taken = |slug: &str| {
                let mut holders = holders.iter().filter(|holder| has_slug(holder, slug));
                holders.any(|holder| !is_marked_deleted(holder))
            };
            if let Some((n, slug)) = (from..).zip(slugs).find(|(_, slug)| !is_taken(slug)) {
                let holder = holders.iter().position(|holder| has_slug(holder, &slug));
                return Ok(Candidate { n, slug, holder: holder.map(|at| holders.swap_remove(at)) });
            }
            from += count;
            count = (count * 4).min(MAX_CANDIDATES);
        }
    }

    /// Returns the documents that have one of these slugs, deleted ones too.
    async fn slug_holders(&self, slugs: &[String], own: Option<ObjectId>) -> Result<Vec<Document>, Error> {
        let others = own.map_or(Filter::All, |own| Filter::ne(Field::ID, own));
        let filter = Filter::is_in(SLUG, slugs.iter().map(String::as_str)).also(others);
        let find = Find::new(filter).projection(Projection::include([SLUG, "deleted", "is_deleted"]));
        Ok(self.collection.find(find).await?.documents().await?)
    }

    async fn release_candidate(&self, candidate: &Candidate) -> Result<(), Error> {
        match &candidate.holder {
            Some(deleted) => self.release_name(&candidate.slug, deleted).await,
            None => Ok(()),
        }
    }

    async fn remember_slug(&self, slug: &str, item: Id, now: DateTime<Utc>) -> Result<(), Error> {
        let former = former_slug::<E>(slug);
        let update = Update::new().set("item", item.to_string()).set("createdDate", instant(now));
        match self.history.upsert_one(&former, &update).await {
            // Another process inserted it concurrently; now it can be updated.
            Err(error) if error.duplicate_index().is_some() => {
                self.history.update_one(&former, &update).await?;
            }
            outcome => drop(outcome?),
        }
        Ok(())
    }
}

impl<E: SoftDelete> Repository<E> {
    /// Takes a unique name from a deleted document, unless it was restored since.
    pub(in crate::repository) async fn release_name(
        &self,
        name: &str,
        deleted: &Document,
    ) -> Result<(), Error> {
        let id = deleted.get("_id").cloned().unwrap_or(Bson::Null);
        let placeholder = format!("~{}", display_id(&id));
        let still_deleted = Filter::and([Filter::id(id), Filter::eq(E::NAME_FIELD, name), is_deleted()]);
        let update = Update::new().set(E::NAME_FIELD, placeholder).set(E::FORMER_NAME_FIELD, name);
        self.collection.update_one(&still_deleted, &update).await?;
        Ok(())
    }

    /// Forgets the former slugs of these items.
    pub(super) async fn forget_slugs(&self, items: &[Id]) -> Result<(), Error> {
        if !items.is_empty() {
            let theirs = Filter::is_in("item", items.iter().map(Id::to_string));
            self.history.delete_many(&Filter::eq("collection", E::COLLECTION).also(theirs)).await?;
        }
        Ok(())
    }
}

/// Returns the slug, or the id in place of an empty one.
pub(super) fn slug_or_id(slug: &str, id: ObjectId) -> String {
    if slug.is_empty() { id.to_hex() } else { slug.to_owned() }
}

fn has_slug(document: &Document, slug: &str) -> bool {
    document.get_str(SLUG).is_ok_and(|held| held == slug)
}

fn is_marked_deleted(document: &Document) -> bool {
    ["deleted", "is_deleted"].iter().any(|mark| document.get(mark) == Some(&Bson::Boolean(true)))
}
