use std::future::Future;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Error, Result, run_to_completion};

/// Limits concurrent operations to the size of the driver's connection pool.
///
/// The driver's own queue (3.9) does not release the place of a waiter that was dropped, and each event serves one place:
/// after some hundred requests whose clients disconnected, the next operation waits for minutes although all connections
/// are idle. Operations therefore wait here, where dropping the future releases the permit; a read that has started is not
/// canceled.
///
/// Content reads and writes wait here. Rare operations do not and may wait in the driver's queue: leases, indexes, the
/// change stream, transactions, and later batches of a long read.
#[derive(Clone)]
pub(crate) struct PoolLimiter(Arc<Semaphore>);

impl PoolLimiter {
    /// Creates a limiter for a pool of this size; 0 means unlimited.
    pub(crate) fn new(pool: u32) -> Self {
        let most =
            if pool == 0 { Semaphore::MAX_PERMITS } else { usize::try_from(pool).unwrap_or(usize::MAX) };
        Self(Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))))
    }

    /// Waits for a permit, which is released when it is dropped.
    pub(crate) async fn take(&self) -> Result<OwnedSemaphorePermit> {
        let ending = |_| Error::Unavailable("the store is closed".into());
        Arc::clone(&self.0).acquire_owned().await.map_err(ending)
    }

    /// Runs a read with a permit. Once started it runs to completion, even if the caller is dropped.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let turn = self.take().await?;
        let work = async move {
            let read = work.await;
            drop(turn);
            read
        };
        run_to_completion(work).await?
    }
}
