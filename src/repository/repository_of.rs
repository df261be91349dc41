use std::collections::HashSet;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bson::{Bson, Document};
use docstore::{Collection, Database, Field, Filter, Find};
use serde::de::DeserializeOwned;

use super::row::live;
use super::totals::{Known, Totals};
use super::{BadField, Entity, Error, slug_history};
use crate::domain::{Id, Listing, Window};

/// So many corrupt documents are remembered, each of which is logged once.
const REMEMBERED: usize = 10_000;

/// Reads and writes entities of one kind. Cheap to clone.
pub struct Repository<E> {
    pub(super) collection: Collection,
    /// Slugs that were changed, of all collections.
    pub(super) history: Collection,
    totals: Arc<Totals>,
    corrupt: Arc<Corrupt>,
    entity: PhantomData<fn() -> E>,
}

#[derive(Default)]
struct Corrupt {
    met: AtomicU64,
    logged: Mutex<HashSet<String>>,
}

impl<E> Clone for Repository<E> {
    fn clone(&self) -> Self {
        Self {
            collection: self.collection.clone(),
            history: self.history.clone(),
            totals: Arc::clone(&self.totals),
            corrupt: Arc::clone(&self.corrupt),
            entity: PhantomData,
        }
    }
}

impl<E: Entity> Repository<E> {
    /// The repository of a database.
    pub fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(E::COLLECTION),
            history: database.collection(slug_history::COLLECTION),
            totals: Arc::new(Totals::new(database, E::COLLECTION)),
            corrupt: Arc::default(),
            entity: PhantomData,
        }
    }

    /// What a filter means, in a window, in the order of lists. Documents that cannot be read are passed over; they
    /// are logged once each and counted.
    pub async fn list(&self, filter: &E::Filter, window: Window) -> Result<Listing<E>, Error> {
        let (documents, total) = self.window_of(Self::listing(filter, window)).await?;
        let items = documents.into_iter().filter_map(|document| self.or_pass(document, Self::read)).collect();
        Ok(Listing { items, total, window })
    }

    /// The documents of a list, and how many there are beyond its window.
    pub(super) async fn window_of(&self, find: Find) -> Result<(Vec<Document>, u64), Error> {
        let (filter, skip, limit) = (find.filter.clone(), find.skip, find.limit);
        let read = async { self.collection.find(find).await?.documents().await };
        match self.totals.known(&filter) {
            Known::Total(total) => Ok((read.await?, total)),
            Known::Part => {
                let (documents, total) = tokio::try_join!(read, self.totals.of(&filter))?;
                Ok((documents, total))
            }
            Known::Nothing => {
                let documents = read.await?;
                let found = documents.len() as u64;
                // Where the window shows the end there is nothing to count.
                let ends = limit.is_none_or(|limit| found < limit) && (found > 0 || skip == 0);
                let total = if ends { skip + found } else { self.totals.of(&filter).await? };
                Ok((documents, total))
            }
        }
    }

    /// How a list is read.
    pub fn listing(filter: &E::Filter, window: Window) -> Find {
        Find::new(E::filter(filter).also(live()))
            .sort(E::sort().then_ascending(Field::ID))
            .skip(window.offset)
            .limit(window.limit)
    }

    /// The live entity with this id.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is there and cannot be read.
    pub async fn find(&self, id: Id) -> Result<Option<E>, Error> {
        self.one(Filter::id(id.object_id()).also(live())).await
    }

    /// How many corrupt documents lists have passed over.
    pub fn corrupt_met(&self) -> u64 {
        self.corrupt.met.load(Ordering::Relaxed)
    }

    pub(super) async fn one(&self, filter: Filter) -> Result<Option<E>, Error> {
        self.first(Find::new(filter)).await
    }

    pub(super) async fn first(&self, find: Find) -> Result<Option<E>, Error> {
        let document = self.collection.find_one(find).await?;
        document.map(Self::read).transpose()
    }

    pub(super) fn read(document: Document) -> Result<E, Error> {
        Self::read_as(document, E::from_row)
    }

    pub(super) fn read_as<R: DeserializeOwned, T>(
        document: Document,
        from_row: impl FnOnce(R) -> Result<T, BadField>,
    ) -> Result<T, Error> {
        let id = document.get("_id").cloned().unwrap_or(Bson::Null);
        let corrupt = |BadField(field)| Error::Corrupt { collection: E::COLLECTION, id: shown(&id), field };
        let row = bson::deserialize_from_document(document).map_err(|_| corrupt(BadField("(document)")))?;
        from_row(row).map_err(corrupt)
    }

    /// In lists, what cannot be read is passed over.
    pub(super) fn or_pass<T>(
        &self,
        document: Document,
        read: impl FnOnce(Document) -> Result<T, Error>,
    ) -> Option<T> {
        match read(document) {
            Ok(entity) => Some(entity),
            Err(error) => {
                self.corrupt.met.fetch_add(1, Ordering::Relaxed);
                if let Error::Corrupt { collection, id, field } = &error {
                    let mut logged = self.corrupt.logged.lock().unwrap_or_else(PoisonError::into_inner);
                    if logged.len() < REMEMBERED && logged.insert(id.clone()) {
                        tracing::error!(
                            collection,
                            document.id = id,
                            field,
                            "a list passes over a corrupt document"
                        );
                    }
                }
                None
            }
        }
    }
}

/// An id for people, whatever its type.
pub(super) fn shown(id: &Bson) -> String {
    match id {
        Bson::ObjectId(id) => id.to_hex(),
        Bson::String(text) => text.clone(),
        other => format!("{other}"),
    }
}
