use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use docstore::bson::{Document, RawDocumentBuf};
use docstore::engine::{Admin, Engine, EngineTransaction, Executor, RawStream, Reach};
use docstore::{
    ChangeFeed, Database, EngineKind, Filter, Find, FindAndUpdate, Index, LeaseHolder, LeaseRequest, Plan,
    Result, ServerFacts, Update, UpdateResult, Write, WriteResult,
};

/// A store that counts what is asked of it.
pub(crate) struct Counting {
    inner: Arc<dyn Engine>,
    counts: Arc<Counts>,
}

#[derive(Default)]
pub(crate) struct Counts {
    reads: AtomicUsize,
    writes: AtomicUsize,
    /// Number of answers to lease requests that are still to be lost.
    lost: AtomicUsize,
    asked_for_lag: AtomicUsize,
    /// The replication lag in seconds at each request; the last value is repeated.
    behind: Mutex<Vec<u64>>,
}

impl Counts {
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(SeqCst)
    }

    pub(crate) fn be_behind(&self, seconds: &[u64]) {
        *self.behind.lock().unwrap() = seconds.to_vec();
    }

    pub(crate) fn asked_for_lag(&self) -> usize {
        self.asked_for_lag.load(SeqCst)
    }

    pub(crate) fn writes(&self) -> usize {
        self.writes.load(SeqCst)
    }

    /// Has this many requests for the lease be carried out and not answered.
    pub(crate) fn lose(&self, answers: usize) {
        self.lost.store(answers, SeqCst);
    }
}

impl Counting {
    pub(crate) fn around(db: &Database) -> (Database, Arc<Counts>) {
        let counts = Arc::new(Counts::default());
        let engine = Self { inner: Arc::clone(db.engine()), counts: Arc::clone(&counts) };
        (Database::new(Arc::new(engine)), counts)
    }

    fn read(&self) -> &dyn Engine {
        self.counts.reads.fetch_add(1, SeqCst);
        &*self.inner
    }

    fn write(&self) -> &dyn Engine {
        self.counts.writes.fetch_add(1, SeqCst);
        &*self.inner
    }
}

#[async_trait]
impl Executor for Counting {
    async fn find(&self, collection: &str, find: Find) -> Result<RawStream> {
        self.read().find(collection, find).await
    }
    async fn count(&self, collection: &str, filter: &Filter) -> Result<u64> {
        self.read().count(collection, filter).await
    }
    async fn insert_many(&self, collection: &str, documents: Vec<Document>) -> Result<()> {
        self.write().insert_many(collection, documents).await
    }
    async fn update(
        &self,
        collection: &str,
        filter: &Filter,
        update: &Update,
        reach: Reach,
    ) -> Result<UpdateResult> {
        self.write().update(collection, filter, update, reach).await
    }
    async fn find_one_and_update(
        &self,
        collection: &str,
        find: FindAndUpdate,
    ) -> Result<Option<RawDocumentBuf>> {
        self.write().find_one_and_update(collection, find).await
    }
    async fn delete(&self, collection: &str, filter: &Filter, many: bool) -> Result<u64> {
        self.write().delete(collection, filter, many).await
    }
    async fn bulk_write(&self, collection: &str, writes: Vec<Write>) -> Result<WriteResult> {
        self.write().bulk_write(collection, writes).await
    }
}

#[async_trait]
impl Engine for Counting {
    fn kind(&self) -> EngineKind {
        self.inner.kind()
    }
    fn location(&self) -> String {
        self.inner.location()
    }
    async fn ping(&self) -> Result<()> {
        self.read().ping().await
    }
    async fn facts(&self) -> Result<ServerFacts> {
        self.read().facts().await
    }
    async fn collection_names(&self) -> Result<Vec<String>> {
        self.read().collection_names().await
    }
    async fn drop_collection(&self, collection: &str) -> Result<()> {
        self.write().drop_collection(collection).await
    }
    async fn create_index(&self, collection: &str, index: &Index) -> Result<()> {
        self.write().create_index(collection, index).await
    }
    async fn list_indexes(&self, collection: &str) -> Result<Vec<Index>> {
        self.read().list_indexes(collection).await
    }
    async fn drop_index(&self, collection: &str, name: &str) -> Result<()> {
        self.write().drop_index(collection, name).await
    }
    async fn explain(&self, collection: &str, find: &Find) -> Result<Plan> {
        self.read().explain(collection, find).await
    }
    async fn begin(&self) -> Result<Arc<dyn EngineTransaction>> {
        self.write().begin().await
    }
    async fn acquire_lease(&self, request: &LeaseRequest) -> Result<LeaseHolder> {
        let answer = self.write().acquire_lease(request).await;
        let lose = |left: usize| left.checked_sub(1);
        if self.counts.lost.fetch_update(SeqCst, SeqCst, lose).is_ok() {
            return Err(docstore::Error::Unavailable("the answer was lost".into()));
        }
        answer
    }
    async fn renew_lease(&self, request: &LeaseRequest, fence: i64) -> Result<bool> {
        self.write().renew_lease(request, fence).await
    }
    async fn release_lease(&self, request: &LeaseRequest, fence: i64) -> Result<()> {
        self.write().release_lease(request, fence).await
    }
    async fn lease_holder(&self, collection: &str, name: &str) -> Result<Option<LeaseHolder>> {
        self.read().lease_holder(collection, name).await
    }
    async fn watch(&self, poll: Duration) -> Result<ChangeFeed> {
        self.read().watch(poll).await
    }
    fn admin(&self) -> &dyn Admin {
        self.inner.admin()
    }
    async fn replication_lag(&self) -> Result<Option<Duration>> {
        let asked = self.counts.asked_for_lag.fetch_add(1, SeqCst);
        let behind = self.counts.behind.lock().unwrap();
        Ok(behind.get(asked).or_else(|| behind.last()).map(|seconds| Duration::from_secs(*seconds)))
    }
    async fn close(&self) {
        self.inner.close().await;
    }
    fn as_any(&self) -> &dyn Any {
        self.inner.as_any()
    }
}
