use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bson::{Document, RawDocumentBuf};
use parking_lot::Mutex;

use super::on_cancel::{OnCancel, RecordOnDrop, write_set_of_batch};
use super::{CollectionVersions, LOG, WriteSet};
use crate::engine::{EngineTransaction, Executor, RawStream, Reach};
use crate::{Filter, Find, FindAndUpdate, Result, Update, UpdateResult, Write, WriteResult};

/// A transaction whose writes are noted when it ends, since nobody sees them before.
pub(super) struct TrackedTransaction {
    inner: Arc<dyn EngineTransaction>,
    revisions: CollectionVersions,
    on_cancel: OnCancel,
    written: Mutex<BTreeMap<String, WriteSet>>,
}

impl TrackedTransaction {
    pub(super) fn new(
        inner: Arc<dyn EngineTransaction>,
        revisions: CollectionVersions,
        on_cancel: OnCancel,
    ) -> Self {
        Self { inner, revisions, on_cancel, written: Mutex::default() }
    }

    /// What is read in a transaction may be older than the numbers are now.
    fn read(&self, collection: &str) {
        let _ = LOG.try_with(|log| log.note_undated(collection, &self.revisions.counter(collection)));
    }

    fn writes(&self, collection: &str, touched: WriteSet) {
        let mut written = self.written.lock();
        let before = written.remove(collection).unwrap_or(WriteSet::Documents(Vec::new()));
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
        self.writes(collection, WriteSet::these(&documents));
        self.inner.insert_many(collection, documents).await
    }

    async fn update(
        &self,
        collection: &str,
        filter: &Filter,
        update: &Update,
        reach: Reach,
    ) -> Result<UpdateResult> {
        self.writes(collection, WriteSet::of_update(filter, reach));
        self.inner.update(collection, filter, update, reach).await
    }

    async fn find_one_and_update(
        &self,
        collection: &str,
        find: FindAndUpdate,
    ) -> Result<Option<RawDocumentBuf>> {
        self.writes(collection, WriteSet::of_find_and_update(&find));
        self.inner.find_one_and_update(collection, find).await
    }

    async fn delete(&self, collection: &str, filter: &Filter, many: bool) -> Result<u64> {
        self.writes(collection, WriteSet::by(filter));
        self.inner.delete(collection, filter, many).await
    }

    async fn bulk_write(&self, collection: &str, writes: Vec<Write>) -> Result<WriteResult> {
        self.writes(collection, write_set_of_batch(&writes));
        self.inner.bulk_write(collection, writes).await
    }
}

#[async_trait]
impl EngineTransaction for TrackedTransaction {
    async fn commit(&self) -> Result<()> {
        let written = std::mem::take(&mut *self.written.lock()).into_iter().collect();
        let noted = RecordOnDrop { revisions: self.revisions.clone(), written };
        let inner = Arc::clone(&self.inner);
        self.on_cancel.carry_out(noted, async move { inner.commit().await }).await
    }

    async fn abort(&self) -> Result<()> {
        self.inner.abort().await
    }
}
