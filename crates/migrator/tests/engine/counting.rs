use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use docstore::engine::{Admin, Engine, EngineTransaction, Executor, Operation, Output};
use docstore::{
    ChangeFeed, CollectionOptions, Database, EngineKind, Find, Index, LeaseHolder, LeaseRequest, Plan,
    Result, Rights, ServerFacts, Space,
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
    /// Transactions are refused, as on a standalone server.
    no_transactions: AtomicBool,
    /// The replication lag in seconds at each request; the last value is repeated.
    behind: Mutex<Vec<u64>>,
    /// The reads of collections, each with its kind.
    kinds: Mutex<Vec<String>>,
    /// Operations panic.
    panics: AtomicBool,
    /// A collection, and the number of operations on it after which the store no longer answers.
    failing: Mutex<Option<(String, usize)>>,
}

impl Counts {
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(SeqCst)
    }

    /// Returns kind and collection of each read since the last call.
    pub(crate) fn take_kinds(&self) -> Vec<String> {
        std::mem::take(&mut *self.kinds.lock().expect("no test panics while it holds this"))
    }

    /// Has operations on collections panic from now on, or no longer.
    pub(crate) fn panic(&self, panics: bool) {
        self.panics.store(panics, SeqCst);
    }

    pub(crate) fn be_behind(&self, seconds: &[u64]) {
        *self.behind.lock().expect("no test panics while it holds this") = seconds.to_vec();
    }

    pub(crate) fn asked_for_lag(&self) -> usize {
        self.asked_for_lag.load(SeqCst)
    }

    pub(crate) fn writes(&self) -> usize {
        self.writes.load(SeqCst)
    }

    pub(crate) fn refuse_transactions(&self) {
        self.no_transactions.store(true, SeqCst);
    }

    /// Fails operations on a collection after this many.
    pub(crate) fn fail_after(&self, collection: &str, operations: usize) {
        *self.failing.lock().expect("no test panics while it holds this") =
            Some((collection.to_owned(), operations));
    }

    pub(crate) fn heal(&self) {
        *self.failing.lock().expect("no test panics while it holds this") = None;
    }

    fn check(&self, collection: &str) -> Result<()> {
        let mut failing = self.failing.lock().expect("no test panics while it holds this");
        match failing.as_mut().filter(|(failing, _)| failing == collection) {
            Some((_, 0)) => Err(docstore::Error::Unavailable("the store does not answer".into())),
            Some((_, left)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
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
    async fn execute(&self, collection: &str, operation: Operation) -> Result<Output> {
        assert!(!self.counts.panics.load(SeqCst), "a panic on purpose: hunter2");
        self.counts.check(collection)?;
        let kind = match operation {
            Operation::Find(_) => "find",
            Operation::Count(_) => "count",
            _ => "write",
        };
        let inner = if kind == "write" {
            self.write()
        } else {
            let mut kinds = self.counts.kinds.lock().expect("no test panics while it holds this");
            kinds.push(format!("{kind} {collection}"));
            self.read()
        };
        inner.execute(collection, operation).await
    }
}

#[async_trait]
impl Admin for Counting {
    fn name(&self) -> String {
        self.inner.name()
    }
    async fn collection_options(&self, collection: &str) -> Result<CollectionOptions> {
        self.inner.collection_options(collection).await
    }
    async fn create_collection(&self, collection: &str, options: &CollectionOptions) -> Result<()> {
        self.inner.create_collection(collection, options).await
    }
    async fn complete_collection(&self, collection: &str, options: &CollectionOptions) -> Result<()> {
        self.inner.complete_collection(collection, options).await
    }
    async fn drop_database(&self) -> Result<()> {
        self.inner.drop_database().await
    }
    async fn sibling(&self, name: &str) -> Result<Arc<dyn Engine>> {
        self.inner.sibling(name).await
    }
    async fn siblings(&self) -> Result<Vec<String>> {
        self.inner.siblings().await
    }
    async fn rights(&self) -> Result<Rights> {
        self.inner.rights().await
    }
    async fn space(&self) -> Result<Space> {
        self.inner.space().await
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
        if self.counts.no_transactions.load(SeqCst) {
            return Err(docstore::Error::Unsupported("there are no transactions".into()));
        }
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
    async fn replication_lag(&self) -> Result<Option<Duration>> {
        let asked = self.counts.asked_for_lag.fetch_add(1, SeqCst);
        let behind = self.counts.behind.lock().expect("no test panics while it holds this");
        Ok(behind.get(asked).or_else(|| behind.last()).map(|seconds| Duration::from_secs(*seconds)))
    }
    async fn close(&self) {
        self.inner.close().await;
    }
    fn as_any(&self) -> &dyn Any {
        self.inner.as_any()
    }
}
