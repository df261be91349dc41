use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::write_set::Access;
use super::{CollectionVersions, WriteSet};
use crate::engine::{Engine, EngineTransaction, Executor, Operation, Output};
use crate::{Result, run_to_completion};

/// Decides about a write whose caller is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnCancel {
    /// It is dropped. The engine may execute it nevertheless, after it was recorded.
    Drop,
    /// It continues in its own task, and is recorded when it has ended.
    Complete,
}

/// Records writes when it is dropped, whatever their outcome.
struct RecordOnDrop {
    versions: CollectionVersions,
    written: Vec<(String, WriteSet)>,
}

impl Drop for RecordOnDrop {
    fn drop(&mut self) {
        for (collection, set) in &self.written {
            self.versions.record_write(collection, set);
        }
    }
}

/// An engine whose reads and writes are recorded in [`CollectionVersions`].
#[derive(Clone)]
pub(crate) struct Tracked {
    engine: Arc<dyn Engine>,
    versions: CollectionVersions,
    on_cancel: OnCancel,
}

impl Tracked {
    pub(crate) fn new(engine: Arc<dyn Engine>, versions: CollectionVersions, on_cancel: OnCancel) -> Self {
        Self { engine, versions, on_cancel }
    }

    pub(crate) fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    pub(crate) fn versions(&self) -> &CollectionVersions {
        &self.versions
    }

    /// Begins a transaction whose writes are recorded when it ends, since nothing sees them before.
    pub(crate) async fn begin(&self) -> Result<Arc<dyn EngineTransaction>> {
        let inner = self.engine.begin().await?;
        Ok(Arc::new(TrackedTransaction { inner, tracked: self.clone(), written: Mutex::default() }))
    }

    /// Executes a write and records it after the store has answered, before the caller gets the answer.
    async fn record<T: Send + 'static>(
        &self,
        written: Vec<(String, WriteSet)>,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let record = RecordOnDrop { versions: self.versions.clone(), written };
        let work = async move {
            let result = work.await;
            drop(record);
            result
        };
        match self.on_cancel {
            OnCancel::Drop => work.await,
            OnCancel::Complete => run_to_completion(work).await?,
        }
    }
}

#[async_trait]
impl Executor for Tracked {
    async fn execute(&self, collection: &str, operation: Operation) -> Result<Output> {
        operation.check(collection)?;
        match operation.access(collection) {
            Access::Read => {
                self.versions.record_read(collection);
                self.engine.execute(collection, operation).await
            }
            Access::Write(written) => {
                let (engine, collection) = (Arc::clone(&self.engine), collection.to_owned());
                self.record(written, async move { engine.execute(&collection, operation).await }).await
            }
        }
    }
}

struct TrackedTransaction {
    inner: Arc<dyn EngineTransaction>,
    tracked: Tracked,
    written: Mutex<BTreeMap<String, WriteSet>>,
}

#[async_trait]
impl Executor for TrackedTransaction {
    async fn execute(&self, collection: &str, operation: Operation) -> Result<Output> {
        operation.check(collection)?;
        match operation.access(collection) {
            Access::Read => self.tracked.versions.record_snapshot_read(collection),
            Access::Write(sets) => {
                let mut written = self.written.lock();
                for (collection, set) in sets {
                    let before = written.remove(&collection).unwrap_or(WriteSet::Documents(Vec::new()));
                    written.insert(collection, before.and(set));
                }
            }
        }
        self.inner.execute(collection, operation).await
    }
}

#[async_trait]
impl EngineTransaction for TrackedTransaction {
    async fn commit(&self) -> Result<()> {
        let written = std::mem::take(&mut *self.written.lock()).into_iter().collect();
        let inner = Arc::clone(&self.inner);
        self.tracked.record(written, async move { inner.commit().await }).await
    }

    async fn abort(&self) -> Result<()> {
        self.inner.abort().await
    }
}
