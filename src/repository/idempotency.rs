//! The memory of creates that clients may repeat: for each key of a caller the request and the item that it created.
//!
//! The record is written in the transaction that inserts the item, so that neither exists without the other. A standalone
//! MongoDB server has no transactions. There a record without the item comes first, naming the id that the item will have;
//! then comes the item, and then its state in the record. A repeated request resumes where the first one ended, and the
//! id keeps both from inserting an item each.
//!
//! MongoDB deletes old records through the index. On the embedded store each new record deletes some.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bson::oid::ObjectId;
use bson::{Bson, Document, RawDocument, RawDocumentBuf};
use chrono::{DateTime, TimeDelta, Utc};
use docstore::{Collection, Database, EngineKind, Filter, Find, Index, Projection, Sort, Update};
use parking_lot::Mutex;
use tokio::sync::{OnceCell, Semaphore};

use super::{Entity, Error, Repository, Versioned};
use crate::domain::{Id, IdempotencyKey};

/// The collection of records.
pub(super) const COLLECTION: &str = "idempotency_keys";
const CREATED: &str = "createdDate";
const REQUEST: &str = "request";
const ITEM: &str = "item";
/// The new item as it was inserted.
const DOCUMENT: &str = "document";
/// The number of seconds that a record is valid.
const LIFETIME_SECONDS: u32 = 24 * 60 * 60;
/// The maximum number of old records that a new one deletes on the embedded store.
const MAX_SWEPT: u64 = 20;
/// The maximum number of transactions that are tried while others conflict with them.
const MAX_ATTEMPTS: u32 = 8;
/// The maximum number of such transactions at a time. On MongoDB they do not wait for other operations, but for connections.
const MAX_TRANSACTIONS: usize = 8;
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(5);

/// Returns the indexes of the records.
pub(super) fn indexes() -> Vec<Index> {
    vec![Index::on([CREATED]).expire_after_seconds(LIFETIME_SECONDS)]
}

/// The records of a database. Cheap to clone.
#[derive(Clone)]
pub(super) struct IdempotencyRecords {
    database: Database,
    records: Collection,
    /// True if the server has transactions.
    transactions: Arc<OnceCell<bool>>,
    /// The ids of the records of creates in progress in this process.
    in_progress: Arc<Mutex<HashSet<String>>>,
    concurrency: Arc<Semaphore>,
}

/// A create in progress. Until it is dropped, this process rejects others with its key.
pub struct CreateInProgress {
    in_progress: Arc<Mutex<HashSet<String>>>,
    id: String,
}

impl Drop for CreateInProgress {
    fn drop(&mut self) {
        self.in_progress.lock().remove(&self.id);
    }
}

impl IdempotencyRecords {
    pub(super) fn new(database: &Database) -> Self {
        Self {
            database: database.clone(),
            records: database.collection(COLLECTION),
            transactions: Arc::default(),
            in_progress: Arc::default(),
            concurrency: Arc::new(Semaphore::new(MAX_TRANSACTIONS)),
        }
    }

    async fn has_transactions(&self) -> Result<bool, Error> {
        let facts = async { Ok::<_, Error>(self.database.facts().await?.transactions) };
        self.transactions.get_or_try_init(|| facts).await.copied()
    }

    /// Returns the record of a key, unless it is too old. An old one is deleted, so that a new one may take its place.
    async fn find(
        &self,
        user: Id,
        key: &IdempotencyKey,
        now: DateTime<Utc>,
    ) -> Result<Option<RawDocumentBuf>, Error> {
        let by_id = Filter::id(record_id(user, key));
        let Some(record) = self.records.find_one_raw(Find::new(by_id.clone())).await? else {
            return Ok(None);
        };
        if record.get_datetime(CREATED).is_ok_and(|created| created > expired(now)) {
            if record.get_str(REQUEST).ok() != Some(key.request.as_str()) {
                return Err(Error::KeyReused);
            }
            return Ok(Some(record));
        }
        self.records.delete_one(&by_id.also(Filter::lte(CREATED, expired(now)))).await?;
        Ok(None)
    }

    /// Inserts a document and its record together. Once begun, the transaction ends even if the caller is dropped.
    async fn insert(
        &self,
        collection: &'static str,
        document: Document,
        user: Id,
        key: &IdempotencyKey,
        now: DateTime<Utc>,
    ) -> docstore::Result<()> {
        let permit =
            Arc::clone(&self.concurrency).acquire_owned().await.expect("the semaphore is never closed");
        let id = document.get("_id").cloned().unwrap_or(Bson::Null);
        let mut record = record(user, key, id, now);
        record.insert(DOCUMENT, document.clone());
        let this = self.clone();
        let work = async move {
            let inserted = this.insert_in_transaction(record, collection, document, now).await;
            drop(permit);
            inserted
        };
        docstore::run_to_completion(work).await?
    }

    async fn insert_in_transaction(
        &self,
        record: Document,
        collection: &str,
        document: Document,
        now: DateTime<Utc>,
    ) -> docstore::Result<()> {
        let transaction = self.database.begin().await?;
        let write = async {
            let records = transaction.collection(COLLECTION);
            if self.database.kind() == EngineKind::Embedded {
                self.sweep(&records, now).await?;
            }
            records.insert_one(record).await?;
            transaction.collection(collection).insert_one(document).await
        };
        match write.await {
            Ok(_) => transaction.commit().await,
            Err(error) => {
                // A server that is out of reach aborts it by itself.
                _ = transaction.abort().await;
                Err(error)
            }
        }
    }

    /// Deletes the records of items that were purged, since they hold what the items did.
    pub(super) async fn forget(&self, items: &[Id]) -> Result<(), Error> {
        if !items.is_empty() {
            let of_items = Filter::is_in(ITEM, items.iter().map(|id| id.object_id()));
            self.records.delete_many(&of_items).await?;
        }
        Ok(())
    }

    /// Deletes some records that are too old.
    async fn sweep(&self, records: &Collection, now: DateTime<Utc>) -> docstore::Result<()> {
        let old = Find::new(Filter::lte(CREATED, expired(now)));
        let old =
            old.sort(Sort::ascending(CREATED)).projection(Projection::include([CREATED])).limit(MAX_SWEPT);
        let old = records.find(old).await?.documents().await?;
        let ids: Vec<Bson> = old.iter().filter_map(|record| record.get("_id").cloned()).collect();
        if !ids.is_empty() {
            records.delete_many(&Filter::is_in("_id", ids)).await?;
        }
        Ok(())
    }
}

impl<E: Entity> Repository<E> {
    /// Begins a create with a key of a caller. Returns the item that an earlier one created, as it was then.
    ///
    /// # Errors
    /// [`Error::KeyInUse`] while another create with the key is in progress; [`Error::KeyReused`] if the key belongs to
    /// another request.
    pub async fn begin_create(
        &self,
        user: Id,
        key: &IdempotencyKey,
        now: DateTime<Utc>,
    ) -> Result<(CreateInProgress, Option<Versioned<E>>), Error> {
        let in_progress = Arc::clone(&self.idempotency.in_progress);
        let id = record_id(user, key);
        if !in_progress.lock().insert(id.clone()) {
            return Err(Error::KeyInUse);
        }
        let create = CreateInProgress { in_progress, id };
        let created = self.find_created(user, key, now).await?;
        Ok((create, created))
    }

    /// Returns what a request with this key created, as it was then.
    async fn find_created(
        &self,
        user: Id,
        key: &IdempotencyKey,
        now: DateTime<Utc>,
    ) -> Result<Option<Versioned<E>>, Error> {
        let Some(record) = self.idempotency.find(user, key, now).await? else { return Ok(None) };
        match record.get_document(DOCUMENT) {
            Ok(document) => Self::read_versioned(document).map(Some),
            // Without transactions the process may have died before it recorded the item, or before it inserted it.
            Err(_) => self.find_one_versioned(Filter::id(reserved_id(&record)?)).await,
        }
    }

    /// Inserts a document unless a request with this key did before. Returns the item that is there then.
    pub(super) async fn insert_once(
        &self,
        document: Document,
        user: Id,
        key: &IdempotencyKey,
        now: DateTime<Utc>,
    ) -> Result<Versioned<E>, Error> {
        if !self.idempotency.has_transactions().await? {
            return self.insert_in_steps(document, user, key, now).await;
        }
        let mut delay = FIRST_RETRY_DELAY;
        for _ in 0..MAX_ATTEMPTS {
            match self.idempotency.insert(E::COLLECTION, document.clone(), user, key, now).await {
                Ok(()) => {
                    let raw = RawDocumentBuf::try_from(&document)
                        .map_err(|error| Error::undecodable(E::COLLECTION, error))?;
                    return Self::read_versioned(&raw);
                }
                // Another process has used the key. If it has not committed yet, it conflicts.
                Err(error) if is_key_taken(&error) => {
                    if let Some(created) = self.find_created(user, key, now).await? {
                        return Ok(created);
                    }
                }
                Err(docstore::Error::WriteConflict | docstore::Error::TransactionEnded(_)) => {}
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(delay).await;
            delay *= 2;
        }
        Err(Error::unavailable("other writes conflict with this one"))
    }

    async fn insert_in_steps(
        &self,
        mut document: Document,
        user: Id,
        key: &IdempotencyKey,
        now: DateTime<Utc>,
    ) -> Result<Versioned<E>, Error> {
        let records = &self.idempotency.records;
        let id = document.get_object_id("_id").unwrap_or_default();
        let by_key = Filter::id(record_id(user, key));
        let id = match records.insert_one(record(user, key, Bson::ObjectId(id), now)).await {
            Ok(_) => id,
            Err(error) if is_key_taken(&error) => {
                let record = self.idempotency.find(user, key, now).await?.ok_or(Error::KeyInUse)?;
                if let Ok(document) = record.get_document(DOCUMENT) {
                    return Self::read_versioned(document);
                }
                reserved_id(&record)?
            }
            Err(error) => return Err(error.into()),
        };
        document.insert("_id", id);
        let raw = match self.collection.insert_one(document.clone()).await {
            Ok(_) => RawDocumentBuf::try_from(&document)
                .map_err(|error| Error::undecodable(E::COLLECTION, error))?,
            // A request with the key that was believed dead inserted it.
            Err(error) if error.duplicate_index() == Some("_id_") => {
                let found = self.collection.find_one_raw(Find::new(Filter::id(id))).await?;
                found.ok_or(Error::KeyInUse)?
            }
            Err(error) => return Err(error.into()),
        };
        let stored =
            Document::try_from(raw.as_ref()).map_err(|error| Error::undecodable(E::COLLECTION, error))?;
        if let Err(error) = records.update_one(&by_key, &Update::new().set(DOCUMENT, stored)).await {
            // The item itself answers a repeated request.
            tracing::warn!(%error, "failed to record the item that a request with an idempotency key created");
        }
        Self::read_versioned(&raw)
    }
}

/// Reports whether a record has this key already.
fn is_key_taken(error: &docstore::Error) -> bool {
    matches!(
        error.root(),
        docstore::Error::DuplicateKey { collection, .. } if collection == COLLECTION
    )
}

/// Returns the id of a record. A key names a request of one caller.
fn record_id(user: Id, key: &IdempotencyKey) -> String {
    format!("{user}:{}", key.key)
}

fn record(user: Id, key: &IdempotencyKey, item: Bson, now: DateTime<Utc>) -> Document {
    bson::doc! {
        "_id": record_id(user, key), REQUEST: &key.request, ITEM: item, CREATED: bson::DateTime::from_chrono(now),
    }
}

/// Returns the id of the item that a record is about.
fn reserved_id(record: &RawDocument) -> Result<ObjectId, Error> {
    let id = record.get_str("_id").unwrap_or_default().to_owned();
    record.get_object_id(ITEM).map_err(|_| Error::Corrupt { collection: COLLECTION, id, field: ITEM })
}

/// Returns the latest time of records that are too old.
fn expired(now: DateTime<Utc>) -> bson::DateTime {
    bson::DateTime::from_chrono(now - TimeDelta::seconds(LIFETIME_SECONDS.into()))
}
