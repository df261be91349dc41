//! Unique slugs.
//!
//! The unique index decides who gets a slug; the second writer takes the next suffix. The index covers deleted documents
//! too: when an item wants the slug of a deleted one, the deleted one is renamed to `~<its id>`, which no title can give,
//! and keeps its slug in `slug_before` until it is restored.

use bson::oid::ObjectId;
use bson::{Bson, Document};
use chrono::{DateTime, Utc};
use docstore::{Field, Filter, Find, Projection, Update};

use super::create_update::{Change, New};
use crate::domain::{Id, nth_slug};
use crate::repository::row::{SLUG, display_id, is_deleted};
use crate::repository::{Error, Repository, Sluggable, SoftDelete, Versioned};

/// The number of candidates that the first query looks up.
const FIRST_CANDIDATES: u64 = 8;
/// The number of candidates that the second query looks up.
const MORE_CANDIDATES: u64 = 32;
/// Later queries look up candidates at distances of powers of two, up to this one.
const MAX_EXPONENT: u32 = 40;

/// The nth name of a slug, and the deleted document that has it.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) n: u64,
    pub(super) slug: String,
    holder: Option<Document>,
}

impl<E: Sluggable> Repository<E> {
    /// Inserts an entity under this slug, or under its first free suffix; under its id if the slug is empty.
    pub async fn insert_under_slug(
        &self,
        slug: &str,
        new: &New<E>,
        now: DateTime<Utc>,
    ) -> Result<Versioned<E>, Error> {
        let id = ObjectId::new();
        let base = slug_or_id(slug, id);
        // Few titles are equal, so the slug is not looked up before the index refuses it.
        let mut from = 1;
        let mut outcome = self.insert_with_slug(id, new, Some(&base), now).await;
        while outcome.as_ref().is_err_and(|error| error.is_duplicate(SLUG)) {
            let candidate = self.free_candidate(&base, from, None, now).await?;
            from = candidate.n + 1;
            outcome = self.insert_with_slug(id, new, Some(&candidate.slug), now).await;
        }
        outcome
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
            let candidate = self.free_candidate(&base, from, Some(versioned.id), now).await?;
            if candidate.slug == current {
                return self.update(versioned, change, now).await;
            }
            // Remembered before the update: until it is made, the entity itself wins over its history.
            if !current.is_empty() {
                self.remember_name(current, Id::from(versioned.id), now).await?;
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
        now: DateTime<Utc>,
    ) -> Result<Candidate, Error> {
        let candidate = self.find_candidate(base, from, own).await?;
        self.release_candidate(&candidate, now).await?;
        Ok(candidate)
    }

    /// Finds a candidate from the nth on that no other entity has, deleted ones apart.
    ///
    /// It is the first one if few entities have equal titles. If many do, their number must not determine the time: a
    /// free candidate is searched at growing distances, and then between it and the last one that is taken.
    async fn find_candidate(&self, base: &str, from: u64, own: Option<ObjectId>) -> Result<Candidate, Error> {
        for numbers in [0..FIRST_CANDIDATES, FIRST_CANDIDATES..FIRST_CANDIDATES + MORE_CANDIDATES] {
            let numbers: Vec<u64> = numbers.map(|n| from + n).collect();
            if let Some((_, candidate)) = self.first_free(base, &numbers, own).await? {
                return Ok(candidate);
            }
        }
        let mut taken = from + FIRST_CANDIDATES + MORE_CANDIDATES - 1;
        let mut free = loop {
            let numbers: Vec<u64> = (3..=MAX_EXPONENT).map(|exponent| taken + (1 << exponent)).collect();
            match self.first_free(base, &numbers, own).await? {
                Some((at, candidate)) => {
                    taken = at.checked_sub(1).map_or(taken, |at| numbers[at]);
                    break candidate;
                }
                // Somebody took them all on purpose.
                None => taken += 1,
            }
        };
        while free.n - taken > 1 {
            let step = (free.n - taken - 1).div_ceil(MORE_CANDIDATES);
            let step = usize::try_from(step).unwrap_or(usize::MAX);
            let numbers: Vec<u64> = (taken + 1..free.n).step_by(step).collect();
            match self.first_free(base, &numbers, own).await? {
                Some((0, candidate)) => return Ok(candidate),
                Some((at, candidate)) => (taken, free) = (numbers[at - 1], candidate),
                None => taken = numbers[numbers.len() - 1],
            }
        }
        Ok(free)
    }

    /// Returns the first of these candidates that no other entity has, deleted ones apart, and its position.
    async fn first_free(
        &self,
        base: &str,
        numbers: &[u64],
        own: Option<ObjectId>,
    ) -> Result<Option<(usize, Candidate)>, Error> {
        let slugs: Vec<String> = numbers.iter().map(|n| nth_slug(base, *n)).collect();
        let mut holders = self.slug_holders(&slugs, own).await?;
        let is_taken = |slug: &str| {
            let mut holders = holders.iter().filter(|holder| has_slug(holder, slug));
            holders.any(|holder| !is_marked_deleted(holder))
        };
        let Some(at) = slugs.iter().position(|slug| !is_taken(slug)) else { return Ok(None) };
        let (n, slug) = (numbers[at], slugs[at].clone());
        let holder = holders.iter().position(|holder| has_slug(holder, &slug));
        let holder = holder.map(|at| holders.swap_remove(at));
        Ok(Some((at, Candidate { n, slug, holder })))
    }

    /// Returns the documents that have one of these slugs, deleted ones too.
    async fn slug_holders(&self, slugs: &[String], own: Option<ObjectId>) -> Result<Vec<Document>, Error> {
        let others = own.map_or(Filter::All, |own| Filter::ne(Field::ID, own));
        let filter = Filter::is_in(SLUG, slugs.iter().map(String::as_str)).also(others);
        let find = Find::new(filter).projection(Projection::include([SLUG, "deleted", "is_deleted"]));
        Ok(self.collection.find(find).await?.documents().await?)
    }

    async fn release_candidate(&self, candidate: &Candidate, now: DateTime<Utc>) -> Result<(), Error> {
        match &candidate.holder {
            Some(deleted) => self.release_name(&candidate.slug, deleted, now).await,
            None => Ok(()),
        }
    }
}

impl<E: SoftDelete> Repository<E> {
    /// Takes a unique name from a deleted document, unless it was restored since. The document is remembered as a
    /// former holder: restored under another name, it is still found under this one.
    pub(in crate::repository) async fn release_name(
        &self,
        name: &str,
        deleted: &Document,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let id = deleted.get("_id").cloned().unwrap_or(Bson::Null);
        if let Some(id) = id.as_object_id() {
            self.remember_name(name, Id::from(id), now).await?;
        }
        let placeholder = placeholder(&id);
        let still_deleted = Filter::and([Filter::id(id), Filter::eq(E::NAME_FIELD, name), is_deleted()]);
        let update = Update::new().set(E::NAME_FIELD, placeholder).set(E::FORMER_NAME_FIELD, name);
        self.collection.update_one(&still_deleted, &update).await?;
        Ok(())
    }
}

/// Returns the name of a deleted document whose name was taken. No request can name it.
pub(in crate::repository) fn placeholder(id: &Bson) -> String {
    format!("~{}", display_id(id))
}

/// Returns the slug, or the id in place of an empty one.
pub(super) fn slug_or_id(slug: &str, id: ObjectId) -> String {
    if slug.is_empty() { id.to_hex() } else { slug.to_owned() }
}

fn has_slug(document: &Document, slug: &str) -> bool {
    document.get_str(SLUG).is_ok_and(|held| held == slug)
}

/// Reports whether a document has a mark of deletion.
pub(in crate::repository) fn is_marked_deleted(document: &Document) -> bool {
    ["deleted", "is_deleted"].iter().any(|mark| document.get(mark) == Some(&Bson::Boolean(true)))
}
