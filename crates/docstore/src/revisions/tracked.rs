use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bson::{Document, RawDocumentBuf};
use tracing::Instrument as _;

use super::{LOG, Revisions, Touched, lock};
use crate::engine::{Engine, EngineTransaction, Executor, RawStream, Reach, Upkeep};
use crate::{
    ChangeFeed, EngineKind, Error, Filter, Find, FindAndUpdate, Index, LeaseHolder, LeaseRequest, Plan,
    Result, Rights, ServerFacts, Shape, Space, Update, UpdateResult, Validator, Write, WriteResult,
};

/// An engine whose reads and writes are noted. A new operation of the port does not compile until it says here which
/// of the two it is.
pub(crate) struct Tracked {
    inner: Arc<dyn Engine>,
    revisions: Revisions,
    abandoned: Abandoned,
}

/// What becomes of a write that nobody waits for any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Abandoned {
    /// It is given up where it is. The engine may carry it out all the same, after it was noted.
    Dropped,
    /// It goes on in a task of its own, and is noted when it has ended.
    SeenThrough,
}

impl Tracked {
    pub(crate) fn new(inner: Arc<dyn Engine>, revisions: Revisions, abandoned: Abandoned) -> Self {
        Self { inner, revisions, abandoned }
    }

    /// Carries a write out and notes it.
    async fn write<T, F>(
        &self,
        collection: &str,
        touched: Touched,
        work: impl FnOnce(Arc<dyn Engine>, String) -> F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let collection = collection.to_owned();
        let written = vec![(collection.clone(), touched)];
        let noted = Noted { revisions: self.revisions.clone(), written };
        self.abandoned.carry_out(noted, work(Arc::clone(&self.inner), collection)).await
    }
}

/// Notes writes when it is dropped: however they ended.
struct Noted {
    revisions: Revisions,
    written: Vec<(String, Touched)>,
}

impl Drop for Noted {
    fn drop(&mut self) {
        for (collection, touched) in &self.written {
            self.revisions.written(collection, touched);
        }
    }
}

impl Abandoned {
    async fn carry_out<T: Send + 'static>(
        self,
        noted: Noted,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let work = async move {
            let result = work.await;
            drop(noted);
            result
        };
        if self == Self::Dropped {
            return work.await;
        }
        match tokio::spawn(work.in_current_span()).await {
            Ok(result) => result,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(Error::Unavailable("the process is ending".into())),
            },
        }
    }
}

/// The documents that the writes of a batch touch.
fn of_all(writes: &[Write]) -> Touched {
    let each = writes.iter().map(|write| match write {
        Write::Insert(document) => Touched::these([document]),
        Write::UpdateOne { filter, .. }
        | Write::UpdateMany { filter, .. }
        | Write::DeleteOne(filter)
        | Write::DeleteMany(filter) => Touched::by(filter),
    });
    each.fold(Touched::Documents(Vec::new()), Touched::and)
}

#[async_trait]
impl Executor for Tracked {
    async fn find(&self, collection: &str, find: Find) -> Result<RawStream> {
        self.revisions.read(collection);
        self.inner.find(collection, find).await
    }

    async fn count(&self, collection: &str, filter: &Filter) -> Result<u64> {
        self.revisions.read(collection);
        self.inner.count(collection, filter).await
    }

    async fn insert_many(&self, collection: &str, documents: Vec<Document>) -> Result<()> {
        let touched = Touched::these(&documents);
        self.write(
            collection,
            touched,
            |inner, name| async move { inner.insert_many(&name, documents).await },
        )
        .await
    }

    async fn update(
        &self,
        collection: &str,
        filter: &Filter,
        update: &Update,
        reach: Reach,
    ) -> Result<UpdateResult> {
        let (filter, update) = (filter.clone(), update.clone());
        self.write(collection, Touched::by(&filter), move |inner, name| async move {
            inner.update(&name, &filter, &update, reach).await
        })
        .await
    }

    async fn find_one_and_update(
        &self,
        collection: &str,
        find: FindAndUpdate,
    ) -> Result<Option<RawDocumentBuf>> {
        self.write(collection, Touched::by(&find.filter), |inner, name| async move {
            inner.find_one_and_update(&name, find).await
        })
        .await
    }

    async fn delete(&self, collection: &str, filter: &Filter, many: bool) -> Result<u64> {
        let filter = filter.clone();
        self.write(collection, Touched::by(&filter), move |inner, name| async move {
            inner.delete(&name, &filter, many).await
        })
        .await
    }

    async fn bulk_write(&self, collection: &str, writes: Vec<Write>) -> Result<WriteResult> {
        let touched = of_all(&writes);
        self.write(collection, touched, |inner, name| async move { inner.bulk_write(&name, writes).await })
            .await
    }
}

#[async_trait]
impl Engine for Tracked {
    fn kind(&self) -> EngineKind {
        self.inner.kind()
    }

    fn location(&self) -> String {
        self.inner.location()
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }

    async fn facts(&self) -> Result<ServerFacts> {
        self.inner.facts().await
    }

    async fn collection_names(&self) -> Result<Vec<String>> {
        self.inner.collection_names().await
    }

    async fn drop_collection(&self, collection: &str) -> Result<()> {
        self.write(
            collection,
            Touched::Anything,
            |inner, name| async move { inner.drop_collection(&name).await },
        )
        .await
    }

    async fn create_index(&self, collection: &str, index: &Index) -> Result<()> {
        self.inner.create_index(collection, index).await
    }

    async fn list_indexes(&self, collection: &str) -> Result<Vec<Index>> {
        self.inner.list_indexes(collection).await
    }

    async fn drop_index(&self, collection: &str, name: &str) -> Result<()> {
        self.inner.drop_index(collection, name).await
    }

    async fn explain(&self, collection: &str, find: &Find) -> Result<Plan> {
        self.inner.explain(collection, find).await
    }

    async fn begin(&self) -> Result<Arc<dyn EngineTransaction>> {
        let inner = self.inner.begin().await?;
        let revisions = self.revisions.clone();
        let abandoned = self.abandoned;
        Ok(Arc::new(TrackedTransaction { inner, revisions, abandoned, written: Mutex::default() }))
    }

    async fn acquire_lease(&self, request: &LeaseRequest) -> Result<LeaseHolder> {
        self.inner.acquire_lease(request).await
    }

    async fn renew_lease(&self, request: &LeaseRequest, fence: i64) -> Result<bool> {
        self.inner.renew_lease(request, fence).await
    }

    async fn release_lease(&self, request: &LeaseRequest, fence: i64) -> Result<()> {
        self.inner.release_lease(request, fence).await
    }

    async fn lease_holder(&self, collection: &str, name: &str) -> Result<Option<LeaseHolder>> {
        self.inner.lease_holder(collection, name).await
    }

    async fn watch(&self, poll: Duration) -> Result<ChangeFeed> {
        self.inner.watch(poll).await
    }

    fn upkeep(&self) -> &dyn Upkeep {
        self
    }

    async fn replication_lag(&self) -> Result<Option<Duration>> {
        self.inner.replication_lag().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }

    fn as_any(&self) -> &dyn Any {
        self.inner.as_any()
    }
}

#[async_trait]
impl Upkeep for Tracked {
    fn name(&self) -> String {
        self.inner.upkeep().name()
    }

    async fn validator(&self, collection: &str) -> Result<Option<Validator>> {
        self.inner.upkeep().validator(collection).await
    }

    async fn set_validator(&self, collection: &str, validator: Option<&Validator>) -> Result<()> {
        self.inner.upkeep().set_validator(collection, validator).await
    }

    async fn shape(&self, collection: &str) -> Result<Shape> {
        self.inner.upkeep().shape(collection).await
    }

    async fn create_collection(&self, collection: &str, shape: &Shape) -> Result<()> {
        self.inner.upkeep().create_collection(collection, shape).await
    }

    async fn complete_collection(&self, collection: &str, shape: &Shape) -> Result<()> {
        self.inner.upkeep().complete_collection(collection, shape).await
    }

    async fn insert_raw(&self, collection: &str, documents: Vec<RawDocumentBuf>) -> Result<()> {
        self.write(collection, Touched::Anything, |inner, name| async move {
            inner.upkeep().insert_raw(&name, documents).await
        })
        .await
    }

    async fn rename_collection(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        let written = [&from, &to].map(|name| (name.clone(), Touched::Anything)).into();
        let noted = Noted { revisions: self.revisions.clone(), written };
        let inner = Arc::clone(&self.inner);
        let work = async move { inner.upkeep().rename_collection(&from, &to).await };
        self.abandoned.carry_out(noted, work).await
    }

    async fn drop_database(&self) -> Result<()> {
        let dropped = self.inner.upkeep().drop_database().await;
        self.revisions.all_changed();
        dropped
    }

    async fn sibling(&self, name: &str) -> Result<Arc<dyn Engine>> {
        self.inner.upkeep().sibling(name).await
    }

    async fn siblings(&self) -> Result<Vec<String>> {
        self.inner.upkeep().siblings().await
    }

    async fn rights(&self) -> Result<Rights> {
        self.inner.upkeep().rights().await
    }

    async fn space(&self) -> Result<Space> {
        self.inner.upkeep().space().await
    }
}

/// A transaction whose writes are noted when it ends, since nobody sees them before.
struct TrackedTransaction {
    inner: Arc<dyn EngineTransaction>,
    revisions: Revisions,
    abandoned: Abandoned,
    written: Mutex<BTreeMap<String, Touched>>,
}

impl TrackedTransaction {
    /// What is read in a transaction may be older than the numbers are now.
    fn read(&self, collection: &str) {
        let _ = LOG.try_with(|log| log.note_undated(collection, &self.revisions.counter(collection)));
    }

    fn writes(&self, collection: &str, touched: Touched) {
        let mut written = lock(&self.written);
        let before = written.remove(collection).unwrap_or(Touched::Documents(Vec::new()));
        written.insert(collection.to_owned(), before.and(touched));
    }
}

#[async_trait]
impl Executor for TrackedTransaction {
    async fn find(&self, collection: &str, find: Find) -> Result<RawStream> {
        self.read(collection);
        self.inner.find(collection, find).await
    }

    async fn count(&self, collection: &str, filter: &Filter) -> Result<u64> {
        self.read(collection);
        self.inner.count(collection, filter).await
    }

    async fn insert_many(&self, collection: &str, documents: Vec<Document>) -> Result<()> {
        self.writes(collection, Touched::these(&documents));
        self.inner.insert_many(collection, documents).await
    }

    async fn update(
        &self,
        collection: &str,
        filter: &Filter,
        update: &Update,
        reach: Reach,
    ) -> Result<UpdateResult> {
        self.writes(collection, Touched::by(filter));
        self.inner.update(collection, filter, update, reach).await
    }

    async fn find_one_and_update(
        &self,
        collection: &str,
        find: FindAndUpdate,
    ) -> Result<Option<RawDocumentBuf>> {
        self.writes(collection, Touched::by(&find.filter));
        self.inner.find_one_and_update(collection, find).await
    }

    async fn delete(&self, collection: &str, filter: &Filter, many: bool) -> Result<u64> {
        self.writes(collection, Touched::by(filter));
        self.inner.delete(collection, filter, many).await
    }

    async fn bulk_write(&self, collection: &str, writes: Vec<Write>) -> Result<WriteResult> {
        self.writes(collection, of_all(&writes));
        self.inner.bulk_write(collection, writes).await
    }
}

#[async_trait]
impl EngineTransaction for TrackedTransaction {
    async fn commit(&self) -> Result<()> {
        let written = std::mem::take(&mut *lock(&self.written)).into_iter().collect();
        let noted = Noted { revisions: self.revisions.clone(), written };
        let inner = Arc::clone(&self.inner);
        self.abandoned.carry_out(noted, async move { inner.commit().await }).await
    }

    async fn abort(&self) -> Result<()> {
        self.inner.abort().await
    }
}
