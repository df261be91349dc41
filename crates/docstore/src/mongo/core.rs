//! The database handle that an engine shares with its transactions, and the limit on its concurrent operations.

use std::future::Future;
use std::sync::Arc;

use bson::{Bson, Document, RawDocumentBuf, doc};
use futures_util::stream::TryStreamExt;
use mongodb::ClientSession;
use mongodb::error::{Error as DriverError, ErrorKind};
use mongodb::options::WriteConcern;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::{Operation, Output};
use crate::mongo::error::{classify, has_code};
use crate::{Error, Result, run_to_completion};

pub(crate) const NAMESPACE_NOT_FOUND: i32 = 26;

/// The handle. Each operation takes the session of its transaction, if it is in one.
#[derive(Clone)]
pub(crate) struct Core {
    pub(crate) database: mongodb::Database,
    pub(crate) write_concern: Option<WriteConcern>,
    pub(crate) limiter: PoolLimiter,
}

pub(crate) type Session<'a> = Option<&'a mut ClientSession>;

impl Core {
    /// Executes an operation, in the session of a transaction if there is one.
    pub(crate) async fn execute(
        &self,
        collection: &str,
        operation: Operation,
        session: Session<'_>,
    ) -> Result<Output> {
        let done = async {
            Ok(match operation {
                Operation::InsertRaw(_) | Operation::RenameTo(_) | Operation::Drop if session.is_some() => {
                    return Err(Error::Unsupported("this operation takes no part in transactions".into()));
                }
                Operation::Find(find) => Output::Documents(self.find(collection, &find, session).await?),
                Operation::Count(filter) => Output::Count(self.count(collection, &filter, session).await?),
                Operation::Insert(documents) => {
                    Output::Done(self.insert(collection, &documents, session).await?)
                }
                Operation::Update { filter, update, reach } => {
                    Output::Updated(self.update(collection, &filter, &update, reach, session).await?)
                }
                Operation::FindAndUpdate { filter, update, upsert } => {
                    let found = self.find_one_and_update(collection, &filter, &update, upsert, session);
                    Output::Document(found.await?)
                }
                Operation::Delete { filter, many } => {
                    Output::Count(self.delete(collection, &filter, many, session).await?)
                }
                Operation::Bulk(writes) => {
                    Output::Updated(self.bulk_write(collection, &writes, session).await?)
                }
                Operation::InsertRaw(documents) => {
                    Output::Done(self.insert_raw(collection, &documents).await?)
                }
                Operation::RenameTo(name) => Output::Done(self.rename_collection(collection, &name).await?),
                Operation::Drop => Output::Done(self.drop_collection(collection).await?),
            })
        };
        match done.await {
            Ok(output) => Ok(output),
            Err(error) => Err(self.with_index_fields(error).await),
        }
    }

    /// Looks up the fields of a violated index: the driver drops the server's answer to `insert_many`, and with it the fields.
    async fn with_index_fields(&self, mut error: Error) -> Error {
        let root = match &mut error {
            Error::Batch { source, .. } => &mut **source,
            other => other,
        };
        if let Error::DuplicateKey { collection, index, fields } = root
            && fields.is_empty()
        {
            let listed = self.raw_indexes(collection).await.unwrap_or_default();
            let violated =
                listed.iter().find(|listed| listed.get_str("name").is_ok_and(|name| name == index));
            if let Some(Ok(key)) = violated.map(|violated| violated.get_document("key")) {
                *fields = key.keys().cloned().collect();
            }
        }
        error
    }

    pub(crate) fn raw(&self, collection: &str) -> mongodb::Collection<RawDocumentBuf> {
        self.database.collection(collection)
    }

    /// Waits for a permit to write. A transaction does not wait: it has a connection of its own.
    pub(crate) async fn permit(&self, in_transaction: bool) -> Result<Option<OwnedSemaphorePermit>> {
        if in_transaction { Ok(None) } else { self.limiter.take().await.map(Some) }
    }

    /// Returns the server's index documents, including that on `_id`.
    pub(crate) async fn raw_indexes(&self, collection: &str) -> Result<Vec<Document>> {
        let listed = async {
            let cursor = self.database.run_cursor_command(doc! { "listIndexes": collection }).await?;
            cursor.try_collect::<Vec<_>>().await
        };
        match listed.await {
            Err(error) if has_code(&error, &[NAMESPACE_NOT_FOUND]) => Ok(Vec::new()),
            listed => listed.map_err(|error| classify("listing indexes", collection, &error)),
        }
    }

    /// Runs a command of this database, with the write concern that the driver adds to its own.
    pub(crate) async fn write_command(
        &self,
        mut command: Document,
        session: Session<'_>,
    ) -> Result<Document, DriverError> {
        if let Some(session) = session {
            return self.database.run_command(command).session(session).await;
        }
        if let Some(concern) = &self.write_concern {
            command.insert("writeConcern", bson::serialize_to_bson(concern).map_err(ErrorKind::from)?);
        }
        self.database.run_command(command).await
    }
}

/// Reads a number of a response: an int32, or an int64 or a double from `mongos`.
pub(crate) fn number(response: &Document, key: &str) -> Option<u64> {
    match response.get(key)? {
        Bson::Int32(n) => u64::try_from(*n).ok(),
        Bson::Int64(n) => u64::try_from(*n).ok(),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, saturating")]
        Bson::Double(n) => Some(*n as u64),
        _ => None,
    }
}

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
        let permits =
            if pool == 0 { Semaphore::MAX_PERMITS } else { usize::try_from(pool).unwrap_or(usize::MAX) };
        Self(Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))))
    }

    /// Waits for a permit, which is released when it is dropped.
    async fn take(&self) -> Result<OwnedSemaphorePermit> {
        let closed = |_| Error::Unavailable("the store is closed".into());
        Arc::clone(&self.0).acquire_owned().await.map_err(closed)
    }

    /// Runs a read with a permit. Once started it runs to completion, even if the caller is dropped.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let permit = self.take().await?;
        let work = async move {
            let read = work.await;
            drop(permit);
            read
        };
        run_to_completion(work).await?
    }
}
