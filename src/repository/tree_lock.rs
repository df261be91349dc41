use std::sync::Arc;
use std::time::Duration;

use bson::oid::ObjectId;
use docstore::{Database, Lease, LeaseRequest};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Error;

/// The collection of leases that are held while content is written. Migrations have one of their own.
const COLLECTION: &str = "_content_lock";
const NAME: &str = "sections";
/// A process that died holding it is waited for so long.
const TERM: Duration = Duration::from_secs(10);
/// Work that takes longer is given up, well before another process can have the lease.
const WORK: Duration = Duration::from_secs(5);
/// So long is waited for one's turn: longer than a term.
const PATIENCE: Duration = Duration::from_secs(20);
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Lets one at a time judge and change which section lies in which, among all processes on a database: two moves that
/// are right each by itself can make a ring together. Cheap to clone.
///
/// It is a lease and no transaction, since a standalone MongoDB server has none. It is judged on the store's clock and
/// runs out by itself if its holder dies; its holder stops after half of its term.
#[derive(Clone)]
pub struct TreeLock {
    database: Database,
    /// Those of this process wait here, so that one of them at the most asks the store.
    here: Arc<Mutex<()>>,
}

impl TreeLock {
    /// The lock of a database.
    pub fn new(database: &Database) -> Self {
        Self { database: database.clone(), here: Arc::default() }
    }

    /// Does this while nobody else does such a thing. It is done to its end even if nobody waits for it any more, so
    /// that nothing is left half done, and the lease not left behind.
    ///
    /// # Errors
    /// Those of the work; [`Error::Unavailable`] if it is never one's turn, or the work takes too long.
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
            let deadline = Instant::now() + PATIENCE;
            let _here = timeout_at(deadline, lock.here.lock()).await.map_err(|_| busy())?;
            let lease = lock.acquire(deadline).await?;
            // One that took too long may have a write under way: then the lease is left to run out.
            let outcome = timeout(WORK, work).await.map_err(|_| too_long())?;
            if let Err(error) = lease.release().await {
                tracing::warn!(%error, "the lock of the sections was not given back; it runs out by itself");
            }
            outcome
        };
        docstore::run_to_completion(task).await.map_err(Error::from)?
    }

    async fn acquire(&self, deadline: Instant) -> Result<Lease, Error> {
        let request = LeaseRequest {
            collection: COLLECTION.to_owned(),
            name: NAME.to_owned(),
            owner: ObjectId::new().to_hex(),
            ttl: TERM,
        };
        let mut pause = FIRST_PAUSE;
        loop {
            match self.database.acquire_lease(request.clone()).await? {
                Ok(lease) => return Ok(lease),
                Err(_) if Instant::now() >= deadline => return Err(busy()),
                Err(_) => sleep(pause).await,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn busy() -> Error {
    unavailable("other processes are changing sections")
}

fn too_long() -> Error {
    unavailable("a change of sections took too long")
}

fn unavailable(what: &str) -> Error {
    Error::Unavailable(docstore::Error::Unavailable(what.to_owned()))
}
