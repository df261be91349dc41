use std::sync::Arc;
use std::time::Duration;

use bson::RawDocumentBuf;
use bson::oid::ObjectId;

use crate::engine::{Engine, EngineTransaction, Executor, Operation};
use crate::model::query::check_collection_name;
use crate::tracking::Tracked;
use crate::{
    ChangeFeed, Collection, CollectionOptions, CollectionVersions, EngineKind, Ensured, Find, Index, Lease,
    LeaseHolder, LeaseRequest, Plan, Problem, Result, Rights, ServerFacts, Space,
};

/// A source of collections: a [`Database`], or a [`Transaction`] on one.
pub trait Store: Send + Sync {
    /// Returns a handle to the collection of this name; it need not exist yet.
    fn collection(&self, name: &str) -> Collection;
}

/// A database on either engine. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    tracked: Arc<Tracked>,
}

impl Database {
    /// Wraps an engine. A write whose caller is gone is dropped; the engine may execute it nevertheless.
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { tracked: Arc::new(Tracked::new(engine)) }
    }

    /// Returns a handle to the same database whose writes and commits run to completion even if their caller is gone, so
    /// that none is executed after [`CollectionVersions`] recorded it. Meant for a process that caches what it reads; not
    /// for work that must end with its caller.
    #[must_use]
    pub fn completing_writes(&self) -> Self {
        Self { tracked: Arc::new(self.tracked.completing_writes()) }
    }

    /// Refuses writes of documents through any handle of this database for this reason, which [`Database::problem`] then
    /// reports; `None` accepts them again. Leases and internal collections, whose names start with an underscore, are
    /// written nevertheless.
    pub fn refuse_writes(&self, reason: Option<String>) {
        self.tracked.refusal().set(reason);
    }

    /// Returns the versions of the collections, which all handles and transactions of this database share.
    pub fn versions(&self) -> &CollectionVersions {
        self.tracked.versions()
    }

    /// Returns the engine itself. What is written through it is not recorded.
    pub fn engine(&self) -> &Arc<dyn Engine> {
        self.tracked.engine()
    }

    /// Executes an operation that only a database offers.
    pub(crate) async fn execute(&self, collection: &str, operation: Operation) -> Result<()> {
        self.tracked.execute(collection, operation).await.map(<()>::from)
    }

    /// Returns a handle to the collection of this name; it need not exist yet.
    pub fn collection(&self, name: &str) -> Collection {
        Collection::new(Arc::clone(&self.tracked) as _, name)
    }

    /// Returns the engine.
    pub fn kind(&self) -> EngineKind {
        self.engine().kind()
    }

    /// Returns where the data is, for display. Never contains a password.
    pub fn location(&self) -> String {
        self.engine().location()
    }

    /// Checks that the server answers. Waits as long as the driver does, so use a timeout.
    pub async fn ping(&self) -> Result<()> {
        self.engine().ping().await
    }

    /// Returns a lasting problem of a store that answers: a full disk, a lost or damaged file, refused writes. A MongoDB
    /// server reports its own.
    pub async fn problem(&self) -> Option<Problem> {
        let refused = || self.tracked.refusal().reason().map(|reason| Problem { reason, serves: true });
        self.engine().problem().await.or_else(refused)
    }

    /// Returns a handle for reads that all see the present state, one at a time. On MongoDB it is this database itself,
    /// whose reads see later writes.
    pub async fn snapshot(&self) -> Result<Self> {
        Ok(self.engine().snapshot().await?.map_or_else(|| self.clone(), Self::new))
    }

    /// Returns the facts about the server.
    pub async fn facts(&self) -> Result<ServerFacts> {
        self.engine().facts().await
    }

    /// Returns the names of all collections, sorted.
    pub async fn collection_names(&self) -> Result<Vec<String>> {
        self.engine().collection_names().await
    }

    /// Drops a collection and its indexes; nothing happens if it does not exist.
    pub async fn drop_collection(&self, name: &str) -> Result<()> {
        self.execute(name, Operation::Drop).await
    }

    /// Returns the indexes of a collection in order of creation, without the one on the id.
    pub async fn list_indexes(&self, collection: &str) -> Result<Vec<Index>> {
        check_collection_name(collection)?;
        self.engine().list_indexes(collection).await
    }

    /// Creates a declared index unless it exists under any name.
    ///
    /// # Errors
    /// [`crate::Error::IndexConflict`] with both definitions if an index of the same keys or the same name is different;
    /// [`crate::Error::DuplicateKey`] if it is unique and the documents are not.
    pub async fn ensure_index(&self, collection: &str, index: &Index) -> Result<Ensured> {
        check_collection_name(collection)?;
        index.check()?;
        let existing = self.engine().list_indexes(collection).await?;
        if let Some(existed) = Ensured::among(&existing, index) {
            return Ok(existed);
        }
        index.check_conflict(collection, &existing)?;
        self.engine().create_index(collection, index).await?;
        Ok(Ensured::Created)
    }

    /// Creates the declared indexes of a collection that do not exist under any name, on MongoDB in one scan of the documents.
    ///
    /// # Errors
    /// The first index that cannot be created, with the error of [`Database::ensure_index`].
    pub async fn ensure_indexes<'a>(
        &self,
        collection: &str,
        indexes: &'a [Index],
    ) -> std::result::Result<Vec<Ensured>, (&'a Index, crate::Error)> {
        if let Ok(existing) = self.list_indexes(collection).await {
            let existed: Vec<_> = indexes.iter().map(|index| Ensured::among(&existing, index)).collect();
            let missing = indexes.iter().zip(&existed).filter(|(_, existed)| existed.is_none());
            let missing: Vec<_> = missing.map(|(index, _)| index.clone()).collect();
            let is_creatable = |index: &Index| index.check_conflict(collection, &existing).is_ok();
            if missing.is_empty()
                || missing.iter().all(is_creatable)
                    && self.engine().create_indexes(collection, &missing).await.is_ok()
            {
                return Ok(existed.into_iter().map(|existed| existed.unwrap_or(Ensured::Created)).collect());
            }
        }
        // One by one, so that the error is that of one index.
        let mut ensured = Vec::new();
        for index in indexes {
            ensured.push(self.ensure_index(collection, index).await.map_err(|error| (index, error))?);
        }
        Ok(ensured)
    }

    /// Returns the plan of a read.
    pub async fn explain(&self, collection: &str, find: &Find) -> Result<Plan> {
        check_collection_name(collection)?;
        find.check()?;
        self.engine().explain(collection, find).await
    }

    /// Returns the collections that cannot hold documents as others do, each with its kind: `a view`, `a capped
    /// collection`, `a time series collection`. Only a MongoDB server has such.
    pub async fn special_collections(&self) -> Result<Vec<(String, &'static str)>> {
        self.engine().special_collections().await
    }

    /// Drops an index by name; nothing happens if it does not exist.
    pub async fn drop_index(&self, collection: &str, name: &str) -> Result<()> {
        check_collection_name(collection)?;
        self.engine().drop_index(collection, name).await
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] on a standalone MongoDB server; see [`ServerFacts::transactions`].
    pub async fn begin(&self) -> Result<Transaction> {
        Ok(Transaction { inner: self.tracked.begin().await? })
    }

    /// Requests a lease. Returns `Ok(Err(holder))` if it is held by another owner.
    pub async fn acquire_lease(&self, request: LeaseRequest) -> Result<Result<Lease, LeaseHolder>> {
        check_collection_name(&request.collection)?;
        let holder = self.engine().acquire_lease(&request).await?;
        if holder.owner == request.owner {
            Ok(Ok(Lease { engine: Arc::clone(self.engine()), request, fence: holder.fence }))
        } else {
            Ok(Err(holder))
        }
    }

    /// Returns the holder of a lease; `None` if it is free. Writes nothing.
    pub async fn lease_holder(&self, collection: &str, name: &str) -> Result<Option<LeaseHolder>> {
        check_collection_name(collection)?;
        self.engine().lease_holder(collection, name).await
    }

    /// Returns a feed of changes from now on; see [`crate::Change`]. `poll` is the interval where changes cannot be named
    /// one by one.
    pub async fn watch(&self, poll: Duration) -> Result<ChangeFeed> {
        self.engine().watch(poll).await
    }

    /// Returns the lag of the slowest healthy secondary, in whole seconds or better; `None` without replication and on a
    /// sharded cluster.
    pub async fn replication_lag(&self) -> Result<Option<Duration>> {
        self.engine().replication_lag().await
    }

    /// Returns the name of the database or of the file.
    pub fn name(&self) -> String {
        self.engine().name()
    }

    /// Returns the indexes and options of a collection.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] for a time series, which does not store documents as they were inserted.
    pub async fn collection_options(&self, collection: &str) -> Result<CollectionOptions> {
        check_collection_name(collection)?;
        self.engine().collection_options(collection).await
    }

    /// Creates a collection with these options; its indexes are not created yet. Nothing happens if it exists.
    pub async fn create_collection(&self, collection: &str, options: &CollectionOptions) -> Result<()> {
        check_collection_name(collection)?;
        self.engine().create_collection(collection, options).await
    }

    /// Creates the indexes of these options, once the documents are in.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] if the options come from the other engine and this one cannot express them.
    pub async fn complete_collection(&self, collection: &str, options: &CollectionOptions) -> Result<()> {
        check_collection_name(collection)?;
        self.engine().complete_collection(collection, options).await
    }

    /// Inserts encoded documents, bypassing any validator. Each begins with its id.
    pub async fn insert_raw(&self, collection: &str, documents: Vec<RawDocumentBuf>) -> Result<()> {
        if documents.is_empty() {
            return Ok(());
        }
        self.execute(collection, Operation::InsertRaw(documents)).await
    }

    /// Renames a collection atomically, replacing one that has the name.
    pub async fn rename_collection(&self, from: &str, to: &str) -> Result<()> {
        self.execute(from, Operation::RenameTo(to.to_owned())).await
    }

    /// Returns the privileges of the connected user.
    pub async fn rights(&self) -> Result<Rights> {
        self.engine().rights().await
    }

    /// Returns the disk space.
    pub async fn space(&self) -> Result<Space> {
        self.engine().space().await
    }

    /// Creates an empty scratch database beside this one: another database of the same server, or another file. A file is
    /// not safe against a power cut.
    pub async fn scratch(&self, purpose: &str) -> Result<Scratch> {
        let name = format!("{purpose}_{}", ObjectId::new().to_hex());
        Ok(Scratch { database: Self::new(self.engine().sibling(&name).await?) })
    }

    /// Drops scratch databases that a dead process left behind: those of a purpose that are older than `age`. Returns their
    /// number.
    pub async fn sweep_scratches(&self, purpose: &str, age: Duration) -> Result<usize> {
        let engine = self.engine();
        let mut swept = 0;
        for name in engine.siblings().await? {
            let made = name.strip_prefix(purpose).and_then(|rest| rest.strip_prefix('_'));
            let made = made.and_then(|id| ObjectId::parse_str(id).ok());
            let Some(made) = made else { continue };
            if made.timestamp().to_system_time().elapsed().is_ok_and(|elapsed| elapsed >= age) {
                let sibling = Self::new(engine.sibling(&name).await?);
                Scratch { database: sibling }.discard().await?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// Stops background work and flushes pending writes; later operations fail.
    pub async fn close(&self) {
        self.engine().close().await;
    }
}

impl Store for Database {
    fn collection(&self, name: &str) -> Collection {
        Self::collection(self, name)
    }
}

/// A scratch database.
pub struct Scratch {
    database: Database,
}

impl Scratch {
    /// Returns the database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Drops the database.
    pub async fn discard(self) -> Result<()> {
        let dropped = self.database.engine().drop_database().await;
        self.database.versions().record_change_anywhere();
        self.database.close().await;
        dropped
    }
}

/// A transaction of up to 60 seconds. It is aborted if it is dropped without [`Transaction::commit`]. Its reads see its own
/// writes.
pub struct Transaction {
    inner: Arc<dyn EngineTransaction>,
}

impl Transaction {
    /// Returns a handle to a collection within the transaction.
    pub fn collection(&self, name: &str) -> Collection {
        Collection::new(Arc::clone(&self.inner) as _, name)
    }

    /// Makes the writes durable and visible.
    pub async fn commit(self) -> Result<()> {
        self.inner.commit().await
    }

    /// Rolls back the writes.
    pub async fn abort(self) -> Result<()> {
        self.inner.abort().await
    }
}

impl Store for Transaction {
    fn collection(&self, name: &str) -> Collection {
        Self::collection(self, name)
    }
}
