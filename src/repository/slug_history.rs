//! The slug history: where a name in URLs leads that its item no longer has.
//!
//! Each name has one document, `{collection, slug, item, earlier, createdDate}`. `item` is the last item that lost the
//! name; `earlier` lists those that lost it before, the first of them first. The document names items and not their next
//! names, so there are neither chains nor loops, however often an item is renamed.
//!
//! A name leads to the item that has it, if the caller may see that item; else to the last former holder that is public;
//! else to the last one that the caller may see. An item that the caller may not see neither shadows others nor shows
//! that it exists.

use bson::oid::ObjectId;
use bson::{Bson, Document};
use chrono::{DateTime, Utc};
use docstore::{Field, Filter, Find, Index, Projection, Update};

use super::entity::seen;
use super::row::{CREATED, SLUG, instant};
use super::{Entity, Error, Repository, SoftDelete};
use crate::domain::{Id, SlugLookup, Visibility};

const COLLECTION: &str = "collection";
const LAST: &str = "item";
const EARLIER: &str = "earlier";
/// The maximum number of former holders of one name; the first are forgotten.
const MAX_HOLDERS: usize = 1_000;

/// Returns the indexes of the slug history.
pub(super) fn slug_history_indexes() -> Vec<Index> {
    vec![Index::on([COLLECTION, SLUG]).unique()]
}

impl<E: SoftDelete> Repository<E> {
    /// Returns the item that the former holders of a name lead to: its name, or the item itself if it has this name again.
    pub(super) async fn find_by_former_name(
        &self,
        name: &str,
        visibility: Visibility,
    ) -> Result<Option<SlugLookup<E>>, Error> {
        let holders = self.former_holders(name).await?;
        let mut found = self.last_seen(&holders, Visibility::Published).await?;
        if found.is_none() && visibility != Visibility::Published {
            found = self.last_seen(&holders, visibility).await?;
        }
        let Some((id, now)) = found else { return Ok(None) };
        if now != name {
            return Ok(Some(SlugLookup::Renamed(now)));
        }
        // It got the name back since the caller asked for its current holder.
        let current = self.find_one_versioned(seen::<E>(Filter::id(id), visibility)).await?;
        Ok(current.map(|current| SlugLookup::Current(current.revised)))
    }

    /// Returns the former holders of a name, the last one last.
    async fn former_holders(&self, name: &str) -> Result<Vec<ObjectId>, Error> {
        let history = self.history.find_one(Find::new(history_of::<E>(name))).await?;
        let holders = history.as_ref().map(holders).unwrap_or_default();
        Ok(holders.iter().filter_map(|id| ObjectId::parse_str(id).ok()).collect())
    }

    /// Returns the last of these holders that callers of this visibility see, and its name.
    async fn last_seen(
        &self,
        holders: &[ObjectId],
        visibility: Visibility,
    ) -> Result<Option<(ObjectId, String)>, Error> {
        // Without a holder an id that no item has is looked up, which takes as long.
        let none = [ObjectId::from_bytes([0; 12])];
        let ids = if holders.is_empty() { &none[..] } else { holders };
        let find = Find::new(seen::<E>(Filter::is_in(Field::ID, ids.iter().copied()), visibility))
            .projection(Projection::include([E::NAME_FIELD]));
        let documents = self.collection.find(find).await?.documents().await?;
        let seen = documents.iter().filter_map(|document| {
            let (id, name) = (document.get_object_id("_id").ok()?, document.get_str(E::NAME_FIELD).ok()?);
            Some((holders.iter().position(|holder| *holder == id)?, id, name))
        });
        Ok(seen.max_by_key(|(position, ..)| *position).map(|(_, id, name)| (id, name.to_owned())))
    }

    /// Remembers that an item had a name, as its last former holder.
    pub(super) async fn remember_name(&self, name: &str, item: Id, now: DateTime<Utc>) -> Result<(), Error> {
        let item = item.to_string();
        self.change_holders(name, now, |holders| {
            if holders.last() == Some(&item) {
                return false;
            }
            holders.retain(|holder| *holder != item);
            holders.push(item.clone());
            true
        })
        .await
    }

    /// Remembers that an item had a name unless that is known, for documents that an earlier version of this program
    /// renamed without doing so.
    pub(super) async fn remember_name_once(
        &self,
        name: &str,
        item: Id,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let item = item.to_string();
        self.change_holders(name, now, |holders| {
            let known = holders.contains(&item);
            if !known {
                holders.push(item.clone());
            }
            !known
        })
        .await
    }

    /// Changes the former holders of a name, unless `change` returns false.
    async fn change_holders(
        &self,
        name: &str,
        now: DateTime<Utc>,
        change: impl Fn(&mut Vec<String>) -> bool,
    ) -> Result<(), Error> {
        loop {
            let history = self.history.find_one(Find::new(history_of::<E>(name))).await?;
            let mut holders = history.as_ref().map(holders).unwrap_or_default();
            if !change(&mut holders) {
                return Ok(());
            }
            holders.drain(..holders.len().saturating_sub(MAX_HOLDERS));
            let written = match &history {
                Some(history) => self.replace_holders(history, holders, Some(now)).await?,
                None => self.insert_holders(name, holders, now).await?,
            };
            // After a concurrent change, try again from the new state.
            if written {
                return Ok(());
            }
        }
    }

    async fn insert_holders(
        &self,
        name: &str,
        mut holders: Vec<String>,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let Some(last) = holders.pop() else { return Ok(true) };
        let mut history =
            bson::doc! { COLLECTION: E::COLLECTION, SLUG: name, LAST: last, CREATED: instant(now) };
        if !holders.is_empty() {
            history.insert(EARLIER, holders);
        }
        match self.history.insert_one(history).await {
            Err(error) if error.duplicate_index().is_some() => Ok(false),
            outcome => Ok(outcome.map(|_| true)?),
        }
    }

    /// Replaces the holders in a document of the history, and removes it if there is none; false if it was changed.
    async fn replace_holders(
        &self,
        history: &Document,
        mut holders: Vec<String>,
        now: Option<DateTime<Utc>>,
    ) -> Result<bool, Error> {
        let same = |field: &'static str| match history.get(field) {
            Some(value) => Filter::eq(field, value.clone()),
            None => Filter::missing(field),
        };
        let id = history.get("_id").cloned().unwrap_or(Bson::Null);
        // With the unique key, so that one shard is asked if the collection is sharded by it.
        let unchanged =
            Filter::and([Filter::id(id), same(COLLECTION), same(SLUG), same(LAST), same(EARLIER)]);
        let Some(last) = holders.pop() else {
            return Ok(self.history.delete_one(&unchanged).await? > 0);
        };
        let update = Update::new().set(LAST, last);
        let update = if holders.is_empty() { update.unset(EARLIER) } else { update.set(EARLIER, holders) };
        let update = match now {
            Some(now) => update.set(CREATED, instant(now)),
            None => update,
        };
        Ok(self.history.update_one(&unchanged, &update).await?.matched > 0)
    }

    /// Forgets that these items had other names.
    pub(super) async fn forget_names(&self, items: &[Id]) -> Result<(), Error> {
        let items: Vec<String> = items.iter().map(Id::to_string).collect();
        let held = |field: &'static str| Filter::is_in(field, items.iter().map(String::as_str));
        let theirs = Filter::eq(COLLECTION, E::COLLECTION).also(Filter::or([held(LAST), held(EARLIER)]));
        while !items.is_empty() {
            let histories = self.history.find(Find::new(theirs.clone())).await?.documents().await?;
            if histories.is_empty() {
                break;
            }
            for history in &histories {
                let mut holders = holders(history);
                holders.retain(|holder| !items.contains(holder));
                self.replace_holders(history, holders, None).await?;
            }
        }
        Ok(())
    }
}

fn history_of<E: Entity>(name: &str) -> Filter {
    Filter::and([Filter::eq(COLLECTION, E::COLLECTION), Filter::eq(SLUG, name)])
}

/// Returns the ids of the former holders in a document of the history, the last one last. Earlier versions of this
/// program know and write only the last one.
fn holders(history: &Document) -> Vec<String> {
    let last = history.get_str(LAST).ok();
    let earlier = history.get_array(EARLIER).map(Vec::as_slice).unwrap_or_default();
    let earlier = earlier.iter().filter_map(Bson::as_str).filter(|id| Some(*id) != last);
    earlier.chain(last).map(str::to_owned).collect()
}
