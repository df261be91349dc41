use std::sync::Arc;
use std::time::Duration;

use bson::oid::ObjectId;
use docstore::{Database, Lease, LeaseRequest};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Error;

/// The collection of leases for writes of content. Migrations have their own.
pub const CONTENT_LOCK: &str = "_content_lock";
const NAME: &str = "sections";
/// The term of the lease: other processes wait this long for a process that died with it.
const LEASE_TERM: Duration = Duration::from_secs(10);
/// The timeout of the work, well below the term.
const WORK_TIMEOUT: Duration = Duration::from_secs(5);
/// The timeout for acquiring the lease, longer than a term.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(20);
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(5);
const MAX_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Serializes changes to the section tree across all processes on a database: two moves that are valid alone can form a
/// ring together. Cheap to clone.
///
/// It is a lease rather than a transaction, because a standalone MongoDB server has no transactions. It expires by the
/// store's clock if its holder dies; the holder stops after half of the term.
#[derive(Clone)]
pub struct TreeLock {
    database: Database,
    /// Serializes the tasks of this process, so that at most one of them competes for the lease.
    local: Arc<Mutex<()>>,
}

impl TreeLock {
    /// Creates the lock of a database.
    pub fn new(database: &Database) -> Self {
        Self { database: database.clone(), local: Arc::default() }
    }

    /// Runs `work` under the lock. It runs to completion even if the caller is canceled, so that no change is left
    /// unfinished and the lease is released.
    ///
    /// # Errors
    /// The errors of `work`; [`Error::Unavailable`] if the lock cannot be acquired, [`Error::Unconfirmed`] if `work` takes
    /// too long.
    pub async fn run_exclusive<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let lock = self.clone();
        let task = async move {
            let deadline = Instant::now() + ACQUIRE_TIMEOUT;
            let _local = timeout_at(deadline, lock.local.lock()).await.map_err(|_| busy())?;
            let lease = lock.acquire(deadline).await?;
            // After a timeout a write may still be in progress, so the lease is left to expire.
            let outcome = timeout(WORK_TIMEOUT, work)
                .await
                .map_err(|_| Error::unavailable("the change of sections timed out").after_write())?;
            if let Err(error) = lease.release().await {
                tracing::warn!(%error, "failed to release the lock of the sections; it expires by itself");
            }
            outcome
        };
        docstore::run_to_completion(task).await.map_err(Error::from)?
    }

    async fn acquire(&self, deadline: Instant) -> Result<Lease, Error> {
        let request = LeaseRequest {
            collection: CONTENT_LOCK.to_owned(),
            name: NAME.to_owned(),
            owner: ObjectId::new().to_hex(),
            ttl: LEASE_TERM,
        };
        let mut delay = FIRST_RETRY_DELAY;
        loop {
            match self.database.acquire_lease(request.clone()).await? {
                Ok(lease) => return Ok(lease),
                Err(_) if Instant::now() >= deadline => return Err(busy()),
                Err(_) => sleep(delay).await,
            }
            delay = (delay * 2).min(MAX_RETRY_DELAY);
        }
    }
}

fn busy() -> Error {
    Error::unavailable("other processes hold the lock of the sections")
}
