//! A transaction: it has the writer to itself until it ends.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use async_trait::async_trait;
use bson::{Document, RawDocumentBuf};
use futures_util::stream::{self, StreamExt};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::engine::{EngineTransaction, Executor, RawStream, Reach};
use crate::sqlite::checked;
use crate::sqlite::query::cursor::{BatchLimits, Cursor};
use crate::sqlite::query::readers::closed;
use crate::sqlite::write::session::Session;
use crate::sqlite::write::writer::{Begin, Job, Operation, Step};
use crate::{Error, Filter, Find, FindAndUpdate, Result, Update, UpdateResult, Write, WriteResult};

/// The handle. The writer notices when it is dropped.
pub(crate) struct Transaction {
    steps: Sender<Step>,
    ended: Arc<Mutex<Option<String>>>,
}

impl Transaction {
    /// Waits for the writer, and begins.
    pub(crate) async fn begin(jobs: &Sender<Job>) -> Result<Self> {
        let (steps, queue) = channel();
        let (begun, started) = oneshot::channel();
        let ended = Arc::default();
        jobs.send(Job::Begin(Begin { steps: queue, begun, ended: Arc::clone(&ended) }))
            .map_err(|_| closed())?;
        started.await.map_err(|_| closed())??;
        Ok(Self { steps, ended })
    }

    async fn run<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Session<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, result) = oneshot::channel();
        self.steps.send(Step::Run(Box::new(Operation { run, reply }))).map_err(|_| self.why())?;
        result.await.map_err(|_| self.why())?
    }

    async fn end(&self, step: impl FnOnce(oneshot::Sender<Result<()>>) -> Step + Send) -> Result<()> {
        let (reply, result) = oneshot::channel();
        self.steps.send(step(reply)).map_err(|_| self.why())?;
        result.await.map_err(|_| self.why())?
    }

    fn why(&self) -> Error {
        let ended = self.ended.lock();
        Error::TransactionEnded(ended.clone().unwrap_or_else(|| "the store was closed".into()))
    }
}

#[async_trait]
impl Executor for Transaction {
    /// Reads everything at once: later writes of the transaction do not show in a stream that is still open.
    async fn find(&self, collection: &str, find: Find) -> Result<RawStream> {
        let collection = checked::find(collection, &find)?;
        let documents = self
            .run(move |session| {
                let mut cursor = Cursor::open(session.connection, &session.catalog, &collection, find)?;
                Ok(cursor.next_batch(session.connection, BatchLimits::ALL)?.documents)
            })
            .await?;
        Ok(stream::iter(documents.into_iter().map(Ok)).boxed())
    }

    async fn count(&self, collection: &str, filter: &Filter) -> Result<u64> {
        let count = checked::count(collection, filter)?;
        self.run(move |session| count(session.connection, &session.catalog)).await
    }

    async fn insert_many(&self, collection: &str, documents: Vec<Document>) -> Result<()> {
        self.run(checked::insert_many(collection, documents)?).await
    }

    async fn update(
        &self,
        collection: &str,
        filter: &Filter,
        update: &Update,
        reach: Reach,
    ) -> Result<UpdateResult> {
        self.run(checked::update(collection, filter, update, reach)?).await
    }

    async fn find_one_and_update(
        &self,
        collection: &str,
        find: FindAndUpdate,
    ) -> Result<Option<RawDocumentBuf>> {
        self.run(checked::find_one_and_update(collection, find)?).await
    }

    async fn delete(&self, collection: &str, filter: &Filter, many: bool) -> Result<u64> {
        self.run(checked::delete(collection, filter, many)?).await
    }

    async fn bulk_write(&self, collection: &str, writes: Vec<Write>) -> Result<WriteResult> {
        self.run(checked::bulk_write(collection, writes)?).await
    }
}

#[async_trait]
impl EngineTransaction for Transaction {
    async fn commit(&self) -> Result<()> {
        self.end(Step::Commit).await
    }

    async fn abort(&self) -> Result<()> {
        match self.end(Step::Abort).await {
            // What has ended is undone already.
            Err(Error::TransactionEnded(_)) => Ok(()),
            other => other,
        }
    }
}
