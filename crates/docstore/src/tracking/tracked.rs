use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bson::{Document, RawDocumentBuf};

use super::on_cancel::{OnCancel, RecordOnDrop, write_set_of_batch};
use super::transaction::TrackedTransaction;
use super::{CollectionVersions, WriteSet};
use crate::engine::{Admin, Engine, EngineTransaction, Executor, RawStream, Reach};
use crate::{
    ChangeFeed, CollectionOptions, EngineKind, Filter, Find, FindAndUpdate, Index, LeaseHolder, LeaseRequest,
    Plan, Result, Rights, ServerFacts, Space, Update, UpdateResult, Write, WriteResult,
};

/// An engine whose reads and writes are noted. A new operation of the port does not compile until it says here which
/// of the two it is.
pub(crate) struct Tracked {
    inner: Arc<dyn Engine>,
    revisions: CollectionVersions,
    on_cancel: OnCancel,
}

impl Tracked {
    pub(crate) fn new(inner: Arc<dyn Engine>, revisions: CollectionVersions, on_cancel: OnCancel) -> Self {
        Self { inner, revisions, on_cancel }
    }

    /// Carries a write out and notes it.
    async fn write<T, F>(
        &self,
        collection: &str,
        touched: WriteSet,
        work: impl FnOnce(Arc<dyn Engine>, String) -> F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let collection = collection.to_owned();
        let written = vec![(collection.clone(), touched)];
        let noted = RecordOnDrop { revisions: self.revisions.clone(), written };
        self.on_cancel.carry_out(noted, work(Arc::clone(&self.inner), collection)).await
    }
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
        let touched = WriteSet::these(&documents);
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
        self.write(collection, WriteSet::of_update(&filter, reach), move |inner, name| async move {
            inner.update(&name, &filter, &update, reach).await
        })
        .await
    }

    async fn find_one_and_update(
        &self,
        collection: &str,
        find: FindAndUpdate,
    ) -> Result<Option<RawDocumentBuf>> {
        self.write(collection, WriteSet::of_find_and_update(&find), |inner, name| async move {
            inner.find_one_and_update(&name, find).await
        })
        .await
    }

    async fn delete(&self, collection: &str, filter: &Filter, many: bool) -> Result<u64> {
        let filter = filter.clone();
        self.write(collection, WriteSet::by(&filter), move |inner, name| async move {
            inner.delete(&name, &filter, many).await
        })
        .await
    }

    async fn bulk_write(&self, collection: &str, writes: Vec<Write>) -> Result<WriteResult> {
        let touched = write_set_of_batch(&writes);
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
            WriteSet::Anything,
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
        Ok(Arc::new(TrackedTransaction::new(inner, self.revisions.clone(), self.on_cancel)))
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

    fn admin(&self) -> &dyn Admin {
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
impl Admin for Tracked {
    fn name(&self) -> String {
        self.inner.admin().name()
    }

    async fn collection_options(&self, collection: &str) -> Result<CollectionOptions> {
        self.inner.admin().collection_options(collection).await
    }

    async fn create_collection(&self, collection: &str, shape: &CollectionOptions) -> Result<()> {
        self.inner.admin().create_collection(collection, shape).await
    }

    async fn complete_collection(&self, collection: &str, shape: &CollectionOptions) -> Result<()> {
        self.inner.admin().complete_collection(collection, shape).await
    }

    async fn insert_raw(&self, collection: &str, documents: Vec<RawDocumentBuf>) -> Result<()> {
        self.write(collection, WriteSet::Anything, |inner, name| async move {
            inner.admin().insert_raw(&name, documents).await
        })
        .await
    }

    async fn rename_collection(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        let written = [&from, &to].map(|name| (name.clone(), WriteSet::Anything)).into();
        let noted = RecordOnDrop { revisions: self.revisions.clone(), written };
        let inner = Arc::clone(&self.inner);
        let work = async move { inner.admin().rename_collection(&from, &to).await };
        self.on_cancel.carry_out(noted, work).await
    }

    async fn drop_database(&self) -> Result<()> {
        let dropped = self.inner.admin().drop_database().await;
        self.revisions.all_changed();
        dropped
    }

    async fn sibling(&self, name: &str) -> Result<Arc<dyn Engine>> {
        self.inner.admin().sibling(name).await
    }

    async fn siblings(&self) -> Result<Vec<String>> {
        self.inner.admin().siblings().await
    }

    async fn rights(&self) -> Result<Rights> {
        self.inner.admin().rights().await
    }

    async fn space(&self) -> Result<Space> {
        self.inner.admin().space().await
    }
}
