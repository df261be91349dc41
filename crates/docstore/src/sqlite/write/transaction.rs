//! A transaction, which has exclusive use of the writer until it ends.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::engine::{EngineTransaction, Executor, Operation, Output};
use crate::sqlite::query::readers::closed;
use crate::sqlite::write::operations;
use crate::sqlite::write::session::Session;
use crate::sqlite::write::writer::{Begin, FnTask, Job, Step};
use crate::{Error, Result};

/// A handle to a transaction. The writer rolls back when it is dropped.
pub(crate) struct Transaction {
    steps: Sender<Step>,
    ended: Arc<Mutex<Option<String>>>,
}

impl Transaction {
    /// Waits for the writer, then begins.
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
        self.steps.send(Step::Run(Box::new(FnTask { run, reply }))).map_err(|_| self.why())?;
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
    async fn execute(&self, collection: &str, operation: Operation) -> Result<Output> {
        let collection = collection.to_owned();
        self.run(move |session| operations::execute(session, &collection, operation)).await
    }
}

#[async_trait]
impl EngineTransaction for Transaction {
    async fn commit(&self) -> Result<()> {
        self.end(Step::Commit).await
    }

    async fn abort(&self) -> Result<()> {
        match self.end(Step::Abort).await {
            // A transaction that has ended without a commit is rolled back already.
            Err(Error::TransactionEnded(_)) => Ok(()),
            other => other,
        }
    }
}
