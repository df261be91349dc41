use std::future::Future;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Error, Result, see_through};

/// Who may use a connection: as many at a time as the driver's pool has.
///
/// The driver (3.9) cannot be left to queue. When somebody who waits for a connection goes away, their place in its queue
/// stays, and each later event serves one place only: after some hundred requests whose clients hung up, whoever comes
/// next waits for minutes though all connections are free. So the waiting is done here, where places are given up with
/// their futures; and a read that has begun is not given up.
///
/// Reads and writes of content wait here. What is rare does not, and may find the driver's queue: leases, indexes, the
/// change stream, transactions, and whatever follows the first batch of a long read.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    /// For a pool of this size; 0 is one without a limit.
    pub(crate) fn new(pool: u32) -> Self {
        let most =
            if pool == 0 { Semaphore::MAX_PERMITS } else { usize::try_from(pool).unwrap_or(usize::MAX) };
        Self(Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))))
    }

    /// Waits for a turn, which lasts until it is dropped.
    pub(crate) async fn take(&self) -> Result<OwnedSemaphorePermit> {
        let ending = |_| Error::Unavailable("the store is closed".into());
        Arc::clone(&self.0).acquire_owned().await.map_err(ending)
    }

    /// Carries a read out in its turn. Once it has begun it goes on to its end, whether anybody waits for it or not.
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
        see_through(work).await?
    }
}
